//! Which home a shard's users are attached to, as owners change, streams break and homes let go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gochat_coord::{Member, Owners};
use gochat_core::Slot;
use gochat_proto::gateway::{AttachShard, EdgeMessage, HomeMessage, ShardAttached, ShardReleased};
use gochat_proto::gateway::{edge_message, home_message};

use super::link::HomeLink;
use super::shard::{Attachment, EdgeShard};
use super::{Edge, Links};

/// How long an old home is kept that never says `ShardReleased`: it never owned the shard, or its handover timed
/// out, and the new one consumes long since.
const OLD_HOME_GRACE: Duration = Duration::from_secs(10);

impl Edge {
    /// Follows who owns which shard.
    pub(crate) fn follow(self: &Arc<Self>, owners: &Owners) {
        // To the end: `prune` would else stop a stream that was taken for a shard that it has looked at before.
        let mut links = self.links.lock();
        for ((slot, shard), owner) in self.slots().zip(&owners.by_slot) {
            let Some(owner) = owner else { continue };
            let mut shard = shard.lock();
            if shard.current().is_some_and(|home| home.link.leads_to(owner)) {
                continue;
            }
            let link = self.link_to(&mut links, owner);
            attach_shard(&mut shard, slot, owners.epoch.0, link);
        }
    }

    fn link_to(self: &Arc<Self>, links: &mut Links, owner: &Member) -> Arc<HomeLink> {
        match links.get(&owner.id) {
            Some(link) if link.leads_to(owner) => Arc::clone(link),
            _ => {
                let link = HomeLink::start(self, owner.clone(), &self.shutdown);
                if let Some(old) = links.insert(owner.id.clone(), Arc::clone(&link)) {
                    old.stop();
                }
                link
            }
        }
    }

    /// The stream to a home is open: tell it everything.
    pub(super) fn link_opened(&self, link: &Arc<HomeLink>, epoch: u64) {
        for (slot, shard) in self.slots() {
            let shard = shard.lock();
            if shard.homes.iter().any(|home| Arc::ptr_eq(&home.link, link)) {
                link.send(shard.snapshot(slot.0, epoch));
            }
        }
    }

    /// The stream broke: what was on its way is lost, so the sessions sync once they are attached again.
    pub(super) fn link_broken(&self, link: &Arc<HomeLink>) {
        for (_, shard) in self.slots() {
            let mut shard = shard.lock();
            let current = shard.is_current(link);
            let Some(home) = shard.attachment(link) else { continue };
            let lost = std::mem::take(&mut home.confirmed);
            if !current {
                shard.homes.retain(|home| !Arc::ptr_eq(&home.link, link));
            }
            if lost {
                shard.interrupted = true;
                if shard.current().is_some_and(|home| home.confirmed) {
                    self.resume(&mut shard, false);
                }
            }
        }
    }

    /// What a home says.
    pub(super) fn heard(&self, link: &Arc<HomeLink>, message: HomeMessage) {
        match message.message {
            Some(home_message::Message::Deliver(deliver)) => self.deliver(deliver),
            Some(home_message::Message::UserAttached(answer)) => self.user_attached(link, answer),
            Some(home_message::Message::Presence(presence)) => self.presence(presence),
            Some(home_message::Message::ShardAttached(answer)) => self.shard_attached(link, answer),
            Some(home_message::Message::ShardReleased(released)) => self.shard_released(link, released),
            // A newer home's.
            None => {}
        }
    }

    fn shard_attached(&self, link: &Arc<HomeLink>, answer: ShardAttached) {
        let Some(shard) = self.slot(answer.shard) else { return };
        let mut shard = shard.lock();
        let current = shard.is_current(link);
        let Some(home) = shard.attachment(link) else { return };
        home.confirmed = true;
        if current {
            self.resume(&mut shard, answer.late);
        }
    }

    /// The current home has the shard's users.
    fn resume(&self, shard: &mut EdgeShard, late: bool) {
        self.complete_all(shard, late);
        if std::mem::take(&mut shard.interrupted) || late {
            for connection in shard.connections() {
                self.require_sync(connection, "interrupted");
            }
        }
    }

    fn shard_released(&self, link: &Arc<HomeLink>, released: ShardReleased) {
        let Some(shard) = self.slot(released.shard) else { return };
        let mut shard = shard.lock();
        if !shard.is_current(link) {
            shard.homes.retain(|home| !Arc::ptr_eq(&home.link, link));
            return;
        }
        // The new owner is not known here yet, or the same one takes it again: it has forgotten us.
        let snapshot = shard.snapshot(released.shard, released.epoch);
        if let Some(home) = shard.attachment(link) {
            home.released = true;
            home.confirmed = false;
            link.send(snapshot);
        }
    }

    fn slot(&self, shard: u32) -> Option<&parking_lot::Mutex<EdgeShard>> {
        self.table.get(Slot(shard).index())
    }

    /// Lets go of homes that are long replaced, and of streams that no shard needs.
    pub(crate) fn prune(&self) {
        let mut links = self.links.lock();
        let mut used = std::collections::HashSet::new();
        for (slot, shard) in self.slots() {
            let mut shard = shard.lock();
            shard.homes.retain(|home| {
                let keep = home.replaced.is_none_or(|at| at.elapsed() < OLD_HOME_GRACE);
                if !keep {
                    home.link.send(nobody(slot));
                }
                keep
            });
            used.extend(shard.homes.iter().map(|home| Arc::as_ptr(&home.link)));
        }
        links.retain(|_, link| {
            let keep = used.contains(&Arc::as_ptr(link));
            if !keep {
                link.stop();
            }
            keep
        });
    }

    /// Whether every shard's current home has confirmed it: what readiness means for an edge.
    pub(crate) fn is_attached(&self) -> bool {
        self.table.iter().all(|shard| shard.lock().current().is_some_and(|home| home.confirmed))
    }
}

fn attach_shard(shard: &mut EdgeShard, slot: Slot, epoch: u64, link: Arc<HomeLink>) {
    tracing::debug!(%slot, epoch, home = %link.member.id, "shard attaches to a new home");
    let now = Instant::now();
    if let Some(old) = shard.homes.last_mut() {
        old.replaced = Some(now);
    }
    // One that is current again starts anew; one that let go is not needed any more.
    shard.homes.retain(|home| !home.released && !Arc::ptr_eq(&home.link, &link));
    link.send(shard.snapshot(slot.0, epoch));
    shard.homes.push(Attachment::new(link));
}

/// What a home that is not needed any more should know of us.
fn nobody(slot: Slot) -> EdgeMessage {
    EdgeMessage {
        message: Some(edge_message::Message::AttachShard(AttachShard {
            shard: slot.0,
            ..AttachShard::default()
        })),
    }
}

#[cfg(test)]
mod tests {
    use gochat_chassis::Shutdown;
    use gochat_core::{Epoch, SlotCount, Workload};

    use super::*;
    use crate::edge::EdgeLimits;
    use crate::home::Home;
    use crate::metrics::Metrics;
    use crate::ws::outbox::Bounds;
    use crate::ws::rate::Rate;

    const SHARDS: u32 = 64;

    fn edge() -> Arc<Edge> {
        let shards = SlotCount::new(SHARDS).unwrap();
        let metrics = Arc::new(Metrics::new("me"));
        let home = Home::new("me".into(), shards, 1 << 20, Arc::clone(&metrics));
        let limits = EdgeLimits {
            connections: 1,
            connections_per_user: 1,
            outbox: Bounds { bytes: 1, full_ms: 1 },
            user_rate: Rate { per_second: 1, burst: 1 },
            sync_spread_ms: 0,
            presence_grace_ms: 0,
        };
        Edge::new(home, shards, limits, metrics, Shutdown::new())
    }

    /// All shards but the first are `home`'s.
    fn owners(home: &str) -> Owners {
        let member = |id: &str| Member {
            id: id.into(),
            workload: Workload::Gateway,
            address: "http://127.0.0.1:1".to_owned(),
            draining: false,
        };
        let by_slot = (0..SHARDS).map(|slot| Some(member(if slot == 0 { "first" } else { home }))).collect();
        Owners { epoch: Epoch(1), by_slot }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_stream_that_a_shard_was_just_given_is_not_pruned() {
        let edge = edge();
        let pruned = Arc::clone(&edge);
        let stop = Shutdown::new();
        let stopped = stop.clone();
        let pruning = tokio::task::spawn_blocking(move || {
            while !stopped.is_shutting_down() {
                pruned.prune();
            }
        });
        for turn in 0..2_000 {
            edge.follow(&owners(if turn % 2 == 0 { "second" } else { "third" }));
            // Old homes go by time only; here none is kept, so that each turn takes a new stream.
            for (slot, shard) in edge.slots() {
                let mut shard = shard.lock();
                let kept = shard.homes.len() - 1;
                shard.homes.drain(..kept);
                let home = shard.current().unwrap();
                assert!(
                    !home.link.is_stopped(),
                    "shard {slot} waits for a stream that was stopped, turn {turn}"
                );
            }
        }
        stop.begin();
        pruning.await.unwrap();
    }
}
