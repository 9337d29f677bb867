//! The task of one cluster: it looks when something changed, and by the clock as often as there is something to follow.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use gochat_brain::planner::MemberPhase;
use gochat_crds::{PlacedWorkload, ScaledWorkload};
use gochat_senses::{Crew, Heard, Link, Member};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::placed::{Moment, Placed};
use super::pods::Pod;
use super::scaled::Scaled;
use super::victims::Candidate;
use super::{Brief, LiveView, Shared};

/// Between two looks while something changes.
const BUSY: Duration = Duration::from_secs(1);
/// Between two looks when nothing does.
const STEADY: Duration = Duration::from_secs(5);
/// In which every member has reported, and Kafka has answered or not.
const SETTLE: Duration = Duration::from_secs(15);
/// However much is heard, no more looks than this.
const LEAST: Duration = Duration::from_millis(100);

/// Looks after one cluster until it is dropped.
pub(super) async fn keep(shared: Arc<Shared>, mut briefs: watch::Receiver<Arc<Brief>>, changed: Arc<Notify>) {
    if shared.unlisted.subscribe().wait_for(|unlisted| *unlisted == 0).await.is_err() {
        return;
    }
    let mut state = State {
        changed: Arc::clone(&changed),
        links: HashMap::new(),
        unready: HashMap::new(),
        placed: PlacedWorkload::ALL.map(Placed::new),
        scaled: Scaled::default(),
        begun: Instant::now(),
    };
    loop {
        let brief = Arc::clone(&briefs.borrow_and_update());
        let earliest = Instant::now() + LEAST;
        // On the heap, and only for as long as it takes: a thousand of these tasks wait at any time.
        let pause = Box::pin(state.look(&shared, &brief)).await;
        tokio::select! {
            () = changed.notified() => {}
            // Without pods that run there is nothing that time could change.
            () = async { match pause { Some(pause) => sleep(pause).await, None => std::future::pending().await } } => {}
        }
        sleep_until(earliest).await;
    }
}

struct State {
    changed: Arc<Notify>,
    links: HashMap<String, Link>,
    /// Since when a pod that was a member is not ready.
    unready: HashMap<String, Option<Instant>>,
    placed: [Placed; 3],
    scaled: Scaled,
    begun: Instant,
}

/// A pod with what was heard of it.
struct Sight {
    pod: Pod,
    heard: Option<Heard>,
    unready_for: Option<Duration>,
}

impl State {
    async fn look(&mut self, shared: &Shared, brief: &Arc<Brief>) -> Option<Duration> {
        let (instant, now) = (Instant::now(), shared.clock.now());
        let sights = self.see(shared.pods.of(&brief.key), instant);
        shared.candidates.lock().insert(brief.key.clone(), Arc::new(candidates(&sights)));
        let placements = shared.placements.of(&brief.key);
        let rebalances = shared.rebalances.of(&brief.key);
        let mut balance = None;
        let mut crews = BTreeMap::new();
        // Pods that are not placed on a node yet, however many, are followed by the watch alone.
        let mut pause = sights.values().any(|sight| sight.pod.address.is_some()).then_some(STEADY);
        for placed in &mut self.placed {
            let owns = |name: &String| placed.names(name);
            let members: Vec<Member<'_>> = of(&sights, super::brief::scaled(placed.workload))
                .filter_map(|(name, sight)| sight.member(name, owns(name)))
                .collect();
            let moment = Moment { shared, brief, now, instant, members: &members };
            let seen = placed.look(&moment, &placements, &rebalances).await;
            if seen.busy {
                pause = Some(BUSY);
            }
            balance = super::placed::hotter(balance, seen.balance);
            let draining = members.iter().filter(|m| m.phase == MemberPhase::Draining).count();
            let slots = Some(brief.slots(placed.workload));
            let crew = Crew { handovers: seen.handovers, slots, draining, ..Crew::default() };
            crews.insert(super::brief::scaled(placed.workload), crew);
        }
        // What an operator knows that began a moment ago is not what is so: nothing is decided and the status stays as it is
        // until the members had their chance to report.
        let silent = |sight: &Sight| sight.pod.ready && sight.pod.address.is_some() && sight.heard.is_none();
        let heard_all = !sights.values().any(silent);
        let knows_all = heard_all && (brief.is_known || sights.is_empty());
        if !knows_all && instant.duration_since(self.begun) < SETTLE {
            return Some(BUSY);
        }
        let heard = |workload: ScaledWorkload| {
            let reports = of(&sights, workload).filter(|(_, sight)| sight.pod.ready && !sight.pod.leaving);
            reports.map(|(_, sight)| sight.heard.clone()).collect::<Vec<_>>()
        };
        let (wanted, scaling) = self.scaled.decide(shared, brief, now, instant, &crews, heard);
        if self.scaled.panics() {
            pause = pause.map(|_| BUSY);
        }
        shared.views.set(&brief.key, LiveView { wanted, scaling, balance });
        pause
    }

    /// Brings streams and memories up to date with the pods that are there.
    fn see(&mut self, pods: BTreeMap<String, Pod>, now: Instant) -> BTreeMap<String, Sight> {
        self.links.retain(|name, link| {
            pods.get(name).is_some_and(|pod| pod.address == Some(link.address) && pod.uid == link.uid)
        });
        self.unready.retain(|name, _| pods.contains_key(name));
        let sights = pods.into_iter().map(|(name, pod)| {
            if let (Some(address), false) = (pod.address, self.links.contains_key(&name)) {
                let link = Link::open(address, pod.uid.clone(), Arc::clone(&self.changed));
                self.links.insert(name.clone(), link);
            }
            if pod.ready {
                self.unready.insert(name.clone(), None);
            } else if let Some(since) = self.unready.get_mut(&name) {
                since.get_or_insert(now);
            }
            let unready_for = self
                .unready
                .get(&name)
                .map(|since| since.map_or(Duration::ZERO, |at| now.duration_since(at)));
            let heard = self.links.get(&name).and_then(|link| link.fresh(now));
            (name, Sight { pod, heard, unready_for })
        });
        sights.collect()
    }
}

impl Sight {
    fn member<'a>(&'a self, name: &'a str, owns: bool) -> Option<Member<'a>> {
        let report = self.heard.as_ref().map(|heard| heard.report.as_ref());
        let draining = report.is_some_and(|report| report.draining);
        let phase = self.pod.phase(report.is_some(), draining, self.unready_for, owns)?;
        Some(Member { name, phase, report })
    }
}

fn candidates(sights: &BTreeMap<String, Sight>) -> Vec<Candidate> {
    let candidate = |(name, sight): (&String, &Sight)| {
        let report = sight.heard.as_ref().map(|heard| heard.report.as_ref());
        Candidate::new(name.clone(), sight.pod.clone(), report)
    };
    sights.iter().map(candidate).collect()
}

fn of(sights: &BTreeMap<String, Sight>, workload: ScaledWorkload) -> impl Iterator<Item = (&String, &Sight)> {
    sights.iter().filter(move |(_, sight)| sight.pod.workload == workload)
}
