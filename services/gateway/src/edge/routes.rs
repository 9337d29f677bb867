//! Which home a shard's users are attached to, as owners change, streams break and homes let go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gochat_coord::{Member, Owners};
use gochat_core::Slot;
use gochat_proto::gateway::{AttachShard, EdgeMessage, HomeMessage, ShardAttached, ShardReleased};
use gochat_proto::gateway::{edge_message, home_message};

use super::Edge;
use super::link::HomeLink;
use super::shard::{Attachment, EdgeShard};

/// How long an old home is kept that never says `ShardReleased`: it never owned the shard, or its handover timed
/// out, and the new one consumes long since.
const OLD_HOME_GRACE: Duration = Duration::from_secs(10);

impl Edge {
    /// Follows who owns which shard.
    pub(crate) fn follow(self: &Arc<Self>, owners: &Owners) {
        for ((slot, shard), owner) in self.slots().zip(&owners.by_slot) {
            let Some(owner) = owner else { continue };
            let mut shard = shard.lock();
            if shard.current().is_some_and(|home| home.link.leads_to(owner)) {
                continue;
            }
            let link = self.link_to(owner);
            attach_shard(&mut shard, slot, owners.epoch.0, link);
        }
    }

    fn link_to(self: &Arc<Self>, owner: &Member) -> Arc<HomeLink> {
        let mut links = self.links.lock();
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
        self.links.lock().retain(|_, link| {
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
