//! Drives the handover of one member's slots: feeds its state machine with what is seen, and does what it says.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gochat_core::{MemberId, Slot, SlotCount, Workload};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::claim::{self, Claim};
use crate::handover::{Handover, Step, Whose};
use crate::session::Session;
use crate::store::ViewReceiver;
use crate::{Change, CoordError, Owners};

/// Which slots a member owns: the effective owners of placement and members, with the handover protocol.
///
/// A slot's new owner claims it before it works: it gets the claim when the old owner has released it, when the old
/// owner's lease is over, or when the handover timeout is up, whichever is first.
pub struct Ownership {
    session: Arc<Session>,
    workload: Workload,
    slots: SlotCount,
    me: MemberId,
    owners: watch::Receiver<Arc<Owners>>,
    /// Everybody's claims of this workload's slots.
    holders: ViewReceiver,
    handover: Handover,
    claims: HashMap<Slot, Claim>,
    /// At most one a slot.
    attempts: JoinSet<(Slot, Result<Claim, CoordError>)>,
    /// At most two a slot: a `Release` can wait behind its `Acquire`, and nothing follows before `released`.
    changes: VecDeque<Change>,
}

impl Ownership {
    pub(crate) fn folder(workload: Workload) -> String {
        format!("slots/{workload}/")
    }

    pub(crate) fn new(
        session: Arc<Session>,
        workload: Workload,
        slots: SlotCount,
        me: MemberId,
        timeout: Duration,
        mut owners: watch::Receiver<Arc<Owners>>,
        mut holders: ViewReceiver,
    ) -> Self {
        // What is known already is a change for this reader.
        owners.mark_changed();
        holders.mark_changed();
        Self {
            workload,
            slots,
            handover: Handover::new(me.clone(), slots, timeout, session.claim_retry()),
            session,
            me,
            owners,
            holders,
            claims: HashMap::new(),
            attempts: JoinSet::new(),
            changes: VecDeque::new(),
        }
    }

    /// The next change; cancel-safe.
    pub async fn next(&mut self) -> Change {
        loop {
            if let Some(change) = self.changes.pop_front() {
                return change;
            }
            let wake_at = self.handover.wake_at();
            let mut steps = Vec::new();
            tokio::select! {
                // Owners first, so that a change bears the epoch that caused it.
                biased;
                Ok(()) = self.owners.changed() => self.see_owners(&mut steps),
                Ok(()) = self.holders.changed() => self.see_holders(&mut steps),
                Some(attempt) = self.attempts.join_next() => {
                    if let Ok((slot, result)) = attempt {
                        self.see_attempt(slot, result, &mut steps);
                    }
                }
                () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {
                    self.handover.tick(Instant::now(), &mut steps);
                }
                // The views' tasks end only with the runtime.
                else => std::future::pending().await,
            }
            for step in steps {
                self.take(step);
            }
        }
    }

    /// Work on the slot has stopped and its offset is committed: the successor may start.
    pub async fn released(&mut self, slot: Slot) {
        let mut steps = Vec::new();
        self.handover.released(Instant::now(), slot, &mut steps);
        for step in steps {
            match (step, self.claims.remove(&slot)) {
                // Waited for, so that a process that ends after this leaves nothing behind.
                (Step::Unclaim(_), Some(claim)) => claim.release().await,
                (step, _) => self.take(step),
            }
        }
    }

    /// Who should be asked for each slot now (which may not have started yet), kept current. Index = slot.
    pub fn owners(&self) -> watch::Receiver<Arc<Owners>> {
        self.owners.clone()
    }

    fn see_owners(&mut self, steps: &mut Vec<Step>) {
        let owners = Arc::clone(&self.owners.borrow_and_update());
        let whose = owners.by_slot.iter().map(|owner| match owner {
            Some(owner) if owner.id == self.me => Whose::Mine,
            Some(_) => Whose::Anothers,
            None => Whose::Nobodys,
        });
        self.handover.owners(Instant::now(), owners.epoch, whose, steps);
    }

    fn see_holders(&mut self, steps: &mut Vec<Step>) {
        let now = Instant::now();
        let view = Arc::clone(&self.holders.borrow_and_update());
        let folder = Self::folder(self.workload);
        let holders: HashMap<u32, (&str, i64)> = view
            .entries
            .iter()
            .filter_map(|(key, entry)| {
                let slot = key.strip_prefix(&folder)?.parse().ok()?;
                Some((slot, (std::str::from_utf8(&entry.value).ok()?, entry.revision)))
            })
            .collect();
        for slot in self.slots.slots() {
            self.handover.holder(now, slot, holders.get(&slot.0).copied(), steps);
        }
        for (slot, _) in self.claims.iter().filter(|(_, claim)| claim.is_lost()) {
            self.handover.lost(*slot, steps);
        }
    }

    fn see_attempt(&mut self, slot: Slot, result: Result<Claim, CoordError>, steps: &mut Vec<Step>) {
        let revision = match result {
            Ok(claim) => {
                let revision = claim.revision;
                self.claims.insert(slot, claim);
                Some(revision)
            }
            Err(error) => {
                tracing::debug!(workload = %self.workload, %slot, %error, "a slot can't be claimed yet");
                None
            }
        };
        self.handover.claimed(Instant::now(), slot, revision, steps);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Claim(slot) => self.attempt(slot, false),
            Step::TakeOver(slot) => {
                warn!(workload = %self.workload, %slot, "the handover is overdue: the slot is taken by force");
                metrics::counter!("gochat_coord_takeovers_total", "workload" => self.workload.as_str())
                    .increment(1);
                self.attempt(slot, true);
            }
            // The session's keeper does it at once.
            Step::Unclaim(slot) => drop(self.claims.remove(&slot)),
            Step::Emit(change) => {
                match change {
                    Change::Acquire(slot, epoch) => {
                        info!(workload = %self.workload, %slot, epoch = epoch.0, member = %self.me, "slot acquired");
                    }
                    Change::Release(slot, epoch) => {
                        info!(workload = %self.workload, %slot, epoch = epoch.0, member = %self.me, "slot to be released");
                    }
                }
                self.changes.push_back(change);
            }
        }
    }

    fn attempt(&mut self, slot: Slot, force: bool) {
        let (session, me, key) = (Arc::clone(&self.session), self.me.clone(), key(self.workload, slot));
        self.attempts.spawn(async move { (slot, claim::attempt(&session, &key, me.as_str(), force).await) });
    }
}

fn key(workload: Workload, slot: Slot) -> String {
    format!("{}{slot}", Ownership::folder(workload))
}
