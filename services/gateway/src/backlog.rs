//! How far logic is behind: what this gateway refuses sends by, before the log takes more than logic can store.
//!
//! A logic has the records of all its partitions before it, so it is the owner that is behind and not a partition: past
//! `limits.upstream_backlog` the sends into all its partitions are refused, and others are not.
//!
//! What is not known refuses nobody: without an answer from the log for three seconds everything is let through.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gochat_chassis::Shutdown;
use gochat_coord::{Member, Owners};
use gochat_core::{Slot, SlotCount};
use gochat_mq::{Consumer, MqError};
use metrics::Gauge;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// How often the log is asked: two requests for all partitions.
const EVERY: Duration = Duration::from_secs(1);
/// For how long an answer is believed, less [`EVERY`].
const PATIENCE: Duration = Duration::from_secs(2);

/// The upstream partitions into which nothing is sent at present.
pub(crate) struct Backlog(Box<[AtomicBool]>);

impl Backlog {
    pub(crate) fn new(partitions: SlotCount) -> Self {
        Self(partitions.slots().map(|_| AtomicBool::new(false)).collect())
    }

    /// The logic that stores the partition's messages has too much before it.
    pub(crate) fn is_over(&self, partition: Slot) -> bool {
        self.0.get(partition.index()).is_some_and(|over| over.load(Ordering::Relaxed))
    }

    fn set(&self, over: impl Iterator<Item = bool>) {
        for (flag, over) in self.0.iter().zip(over) {
            flag.store(over, Ordering::Relaxed);
        }
    }

    fn clear(&self) {
        self.set(std::iter::repeat(false));
    }
}

/// Looks after the backlog.
pub(crate) struct Watcher {
    pub(crate) backlog: Arc<Backlog>,
    /// Of logic's group on `upstream`; nothing is assigned to it.
    pub(crate) consumer: Consumer,
    pub(crate) partitions: SlotCount,
    pub(crate) owners: watch::Receiver<Arc<Owners>>,
    /// Records that one logic may have before it.
    pub(crate) limit: u64,
    /// The longest backlog of a logic.
    pub(crate) longest: Gauge,
}

impl Watcher {
    /// Asks until `stop` begins.
    pub(crate) async fn run(self, stop: Shutdown) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let look = async {
                ticks.tick().await;
                self.look().await;
            };
            tokio::select! {
                () = look => {}
                () = stop.wait() => return,
            }
        }
    }

    async fn look(&self) {
        match self.lags().await {
            Ok(lags) => {
                let behind = behind(&lags, &self.owners.borrow().by_slot);
                self.longest.set(behind.iter().max().map_or(0.0, |most| *most as f64));
                self.backlog.set(behind.into_iter().map(|records| records > self.limit));
            }
            Err(error) => {
                tracing::debug!(%error, "how far logic is behind is not known");
                self.backlog.clear();
            }
        }
    }

    async fn lags(&self) -> Result<Vec<u64>, MqError> {
        let mut answer = pin!(self.consumer.lags(self.partitions.get()));
        if let Ok(answer) = tokio::time::timeout(PATIENCE, &mut answer).await {
            return answer;
        }
        // Waited for all the same: questions to a log that is away must not pile up.
        self.backlog.clear();
        answer.await
    }
}

/// For each partition what its owner has before it in all.
fn behind(lags: &[u64], owners: &[Option<Member>]) -> Vec<u64> {
    let owners = || owners.iter().map(|owner| owner.as_ref().map(|owner| &owner.id));
    let mut by_owner: HashMap<_, u64> = HashMap::new();
    for (owner, lag) in owners().zip(lags) {
        *by_owner.entry(owner).or_default() += lag;
    }
    owners().map(|owner| by_owner.get(&owner).copied().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use gochat_core::Workload;

    use super::*;

    #[test]
    fn a_logic_is_behind_by_the_records_of_all_its_partitions() {
        let owner = |id: &str| {
            Some(Member { id: id.into(), workload: Workload::Logic, address: String::new(), draining: false })
        };
        let owners = [owner("a"), owner("b"), owner("a"), owner("b")];
        assert_eq!(behind(&[10, 0, 5, 1], &owners), [15, 1, 15, 1]);
        assert_eq!(behind(&[3, 4, 5, 6], &[None, None, None, None]), [18; 4], "nobody stores anything");
    }
}
