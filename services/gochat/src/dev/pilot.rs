//! The operator's place: the same planner and autoscalers, over members of this process instead of pods.
//!
//! ```text
//! members, their load reports ──▶ placed: one workload's slots ───▶ coordination: the next map
//!                                 scaled: one workload's number ──▶ members: one more, one fewer
//! ```
//!
//! A member that is to go hands its slots on first, then its sockets, then ends. Each decision is a line.

mod placed;
mod scaled;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use gochat_coord::Coord;
use gochat_core::Workload;
use gochat_crds::{GoChatClusterSpec, PlacedWorkload};
use gochat_senses::{Clock, Crew, Heard, Link};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::greeting::reachable;
use super::members::Members;
use crate::say;
use placed::Placed;
use scaled::Scaled;

/// Between two looks while members come.
const STARTING: Duration = Duration::from_millis(20);
/// Between two looks while something moves or goes, and when nothing does.
const BUSY: Duration = Duration::from_secs(1);
const STEADY: Duration = Duration::from_secs(5);
/// However much is heard, no more looks than this.
const LEAST: Duration = Duration::from_millis(100);
/// How long a member that is to go waits for others to take its slots.
const EMPTIED: Duration = Duration::from_secs(10);

/// Decides for all workloads.
pub(super) struct Pilot {
    spec: GoChatClusterSpec,
    clock: Clock,
    changed: Arc<Notify>,
    lanes: Vec<Lane>,
}

/// One workload.
struct Lane {
    workload: Workload,
    links: HashMap<String, Link>,
    placed: Placed,
    scaled: Option<Scaled>,
}

/// A member with what was heard of it.
struct Sight {
    name: String,
    /// Since when it is to go.
    leaving: Option<Instant>,
    heard: Option<Heard>,
}

impl Pilot {
    /// Has seen nothing yet.
    pub(super) fn new(
        spec: &GoChatClusterSpec,
        coord: &Coord,
        slots: impl Fn(Workload) -> anyhow::Result<gochat_core::SlotCount>,
    ) -> anyhow::Result<Self> {
        let lanes = PlacedWorkload::ALL.map(|placed| {
            let workload = match placed {
                PlacedWorkload::Gateway => Workload::Gateway,
                PlacedWorkload::Logic => Workload::Logic,
                PlacedWorkload::Task => Workload::Task,
            };
            anyhow::Ok(Lane {
                workload,
                links: HashMap::new(),
                placed: Placed::new(spec, placed, workload, slots(workload)?, coord),
                scaled: Scaled::new(spec, workload),
            })
        });
        let lanes = lanes.into_iter().collect::<anyhow::Result<_>>()?;
        Ok(Self { spec: spec.clone(), clock: Clock::default(), changed: Arc::default(), lanes })
    }

    /// Looks and acts until `done`.
    ///
    /// # Errors
    /// A member that fails, or can't be started.
    pub(super) async fn steer(
        &mut self,
        members: &mut Members,
        mut done: impl FnMut(&Members) -> bool,
    ) -> anyhow::Result<()> {
        loop {
            let earliest = Instant::now() + LEAST;
            let pause = self.look(members).await?;
            if done(members) {
                return Ok(());
            }
            tokio::select! {
                error = members.failed() => return Err(error),
                () = self.changed.notified() => {}
                () = sleep(pause) => {}
            }
            if pause != STARTING {
                tokio::time::sleep_until(earliest).await;
            }
        }
    }

    async fn look(&mut self, members: &mut Members) -> anyhow::Result<Duration> {
        let (now, instant) = (self.clock.now(), Instant::now());
        let mut pause = STEADY;
        for lane in &mut self.lanes {
            let next = lane.look(&self.spec, members, &self.changed, now, instant).await;
            pause = pause.min(next.with_context(|| format!("{}", lane.workload))?);
        }
        Ok(if members.failing().is_empty() { pause } else { STARTING })
    }
}

impl Lane {
    async fn look(
        &mut self,
        spec: &GoChatClusterSpec,
        members: &mut Members,
        changed: &Arc<Notify>,
        now: Duration,
        instant: Instant,
    ) -> anyhow::Result<Duration> {
        self.listen(&members.living(self.workload), changed);
        let sights = self.see(members, instant);
        let asked = members.asked(self.workload);
        let handovers = self.placed.look(spec, &sights, asked, now).await;
        let going = self.let_go(members, &sights, instant);
        let crew = Crew {
            ready: sights.len().saturating_sub(going),
            desired: u32::try_from(asked).unwrap_or(u32::MAX),
            draining: going,
            handovers,
            slots: Some(self.placed.slots()),
        };
        let decided = self.scaled.as_mut().and_then(|scaled| scaled.decide(crew, &sights, now, instant));
        if let Some(count) = decided {
            members.scale(self.workload, count as usize).await?;
            if self.workload == Workload::Gateway {
                for address in members.gateways().iter().take(count as usize).skip(asked) {
                    say::line(&format!("  clients may go to http://{}/ too", reachable(*address)));
                }
            }
        }
        let busy = decided.is_some() || handovers > 0 || going > 0 || self.placed.is_uneven();
        Ok(if busy { BUSY } else { STEADY })
    }

    /// Members that run and have joined.
    fn see(&self, members: &Members, now: Instant) -> Vec<Sight> {
        let seen = members.of(self.workload).filter_map(|member| {
            let heard = self.links.get(&member.name)?.fresh(now);
            Some(Sight { name: member.name.clone(), leaving: member.leaving, heard })
        });
        seen.collect()
    }

    /// Stops members that are to go and have no slots any more; says how many are to go.
    fn let_go(&self, members: &Members, sights: &[Sight], now: Instant) -> usize {
        let mut going = 0;
        for Sight { name, leaving, heard } in sights {
            let Some(since) = leaving else { continue };
            going += 1;
            let empty = heard.as_ref().is_none_or(|heard| heard.report.slots.is_empty());
            if (empty && !self.placed.names(name)) || now.duration_since(*since) >= EMPTIED {
                members.stop(name);
            }
        }
        going
    }

    /// A stream of load reports from each living member.
    fn listen(&mut self, living: &[gochat_coord::Member], changed: &Arc<Notify>) {
        let address = |member: &gochat_coord::Member| member.address.strip_prefix("http://")?.parse().ok();
        self.links.retain(|name, link| {
            living.iter().any(|member| member.id.as_str() == name && address(member) == Some(link.address))
        });
        for member in living {
            let name = member.id.as_str();
            if let (false, Some(address)) = (self.links.contains_key(name), address(member)) {
                self.links.insert(name.to_owned(), Link::open(address, name.to_owned(), Arc::clone(changed)));
            }
        }
    }
}
