//! The home: this gateway as the owner of shards.
//!
//! ```text
//! table       which edges have a session of which user, and which watch whom: pure
//! relay       the streams of the edges: what they say goes into the tables, what they get waits in a bounded queue
//! consumer    owns and releases shards, polls their partitions, hands each record to the edges that need it
//! push        records for recipients that nobody holds
//! ```

pub(crate) mod consumer;
mod push;
mod relay;
mod table;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gochat_core::{MemberId, Slot, SlotCount};
use gochat_proto::gateway::{HomeMessage, Presence, ShardAttached, UserAttached};
use gochat_proto::gateway::{edge_message, home_message};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

pub(crate) use push::Pusher;
pub(crate) use relay::RelayService;

use crate::metrics::Metrics;
use relay::EdgeLink;
use table::{EdgeIx, Notice, ShardTable};

/// An attachment names every user of a shard at an edge, 8 bytes each: far more than gRPC's default allows.
pub(crate) const MAX_RELAY_MESSAGE: usize = 64 * 1024 * 1024;

/// The session tables of all shards. Shards that are not owned have one too: edges attach before the owner starts.
pub(crate) struct Home {
    pub(crate) member: MemberId,
    pub(crate) shards: SlotCount,
    tables: Box<[Mutex<ShardTable>]>,
    edges: RwLock<Edges>,
    /// An edge attached a shard: whoever waits for that looks again.
    attached: Notify,
    epoch: AtomicU64,
    relay_bytes: usize,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Edges {
    by_index: HashMap<EdgeIx, Arc<EdgeLink>>,
    next: EdgeIx,
}

impl Home {
    pub(crate) fn new(
        member: MemberId,
        shards: SlotCount,
        relay_bytes: usize,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            member,
            shards,
            tables: shards.slots().map(|_| Mutex::default()).collect(),
            edges: RwLock::default(),
            attached: Notify::new(),
            epoch: AtomicU64::new(0),
            relay_bytes,
            metrics,
        })
    }

    /// Of the placement seen last.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    pub(crate) fn set_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    /// Users with a session in a shard.
    pub(crate) fn users(&self, slot: Slot) -> u64 {
        self.table(slot.0).map_or(0, |table| table.lock().users() as u64)
    }

    /// Counts them all for the metrics.
    fn count_users(&self) {
        let users: usize = self.tables.iter().map(|table| table.lock().users()).sum();
        self.metrics.online_users.set(users as f64);
    }

    fn table(&self, shard: u32) -> Option<&Mutex<ShardTable>> {
        self.tables.get(Slot(shard).index())
    }

    fn edge(&self, index: EdgeIx) -> Option<Arc<EdgeLink>> {
        self.edges.read().by_index.get(&index).cloned()
    }

    /// What an edge says. Answers are queued after the table's lock is free.
    fn heard(&self, edge: &EdgeLink, message: edge_message::Message) {
        let from = edge.index;
        let (answer, notices) = match message {
            edge_message::Message::AttachShard(attach) => {
                let Some(table) = self.table(attach.shard) else { return };
                let (late, notices) =
                    table.lock().attach_shard(from, attach.user_ids, &attach.watched_user_ids);
                self.attached.notify_waiters();
                let answer = ShardAttached { shard: attach.shard, epoch: attach.epoch, late };
                (Some(home_message::Message::ShardAttached(answer)), notices)
            }
            edge_message::Message::AttachUser(attach) => {
                let Some(table) = self.table(attach.shard) else { return };
                let (owned, notices) = table.lock().attach_user(from, attach.user_id);
                let answer = UserAttached { request_id: attach.request_id, owned };
                (Some(home_message::Message::UserAttached(answer)), notices)
            }
            edge_message::Message::DetachUser(detach) => {
                let Some(table) = self.table(detach.shard) else { return };
                (None, table.lock().detach_user(from, detach.user_id))
            }
            edge_message::Message::Watch(watch) => {
                let Some(table) = self.table(watch.shard) else { return };
                (None, table.lock().watch(from, &watch.user_ids))
            }
            edge_message::Message::Unwatch(unwatch) => {
                let Some(table) = self.table(unwatch.shard) else { return };
                table.lock().unwatch(from, &unwatch.user_ids);
                (None, Vec::new())
            }
            // A second one.
            edge_message::Message::Hello(_) => return,
        };
        if let Some(answer) = answer {
            edge.answer(HomeMessage { message: Some(answer) });
        }
        self.notify(notices);
    }

    /// An edge's stream is gone, and with it all its sessions.
    fn lost(&self, edge: &EdgeLink) {
        self.edges.write().by_index.remove(&edge.index);
        for table in &self.tables {
            let notices = table.lock().drop_edge(edge.index);
            self.notify(notices);
        }
    }

    fn notify(&self, notices: Vec<Notice>) {
        for Notice { edge, user, online } in notices {
            if let Some(edge) = self.edge(edge) {
                let presence = Presence { user_id: user, online };
                edge.answer(HomeMessage { message: Some(home_message::Message::Presence(presence)) });
            }
        }
    }
}
