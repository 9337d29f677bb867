//! The edge: this gateway as the holder of clients' sockets.
//!
//! ```text
//! connection  what others see of a socket: who, which codec, its outbox
//! shard       the users of one shard that are connected here, and the homes they are attached to
//! attach      a session comes and goes; welcome waits for its home
//! routes      a shard's owner changes: attach to the new home, stay with the old one until it lets go
//! link        the stream to one home gateway (or to the home in this process)
//! deliver     a record to sockets: the same bytes to all
//! presence    what connections watch, and who has gone for good
//! heartbeat   a sweep over all connections: pings, and closes who is silent or does not read
//! ```
//!
//! # Footguns
//! - What is told to a home about a shard is sent under that shard's lock: a home that saw an attach after its detach
//!   would lose a user.
//! - Nothing awaits under a shard's lock, and only one is held at a time; the links' lock, where needed, is taken before it.

mod attach;
mod connection;
mod deliver;
pub(crate) mod heartbeat;
mod link;
pub(crate) mod presence;
pub(crate) mod routes;
mod shard;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use gochat_chassis::Shutdown;
use gochat_core::{MemberId, Slot, SlotCount, UserId};
use gochat_proto::client::{ServerFrame, SyncRequired, server_frame::Frame};
use parking_lot::Mutex;
use rand::RngExt as _;

pub(crate) use attach::{Attached, TooMany};
pub(crate) use connection::Connection;

use crate::clock::{Clock, unix_ms};
use crate::home::Home;
use crate::metrics::Metrics;
use crate::ws::codec::Codec;
use crate::ws::outbox::{Bounds, Pushed};
use crate::ws::rate::Rate;
use link::HomeLink;
use presence::Leaving;
use shard::EdgeShard;

/// The streams to homes, by their members.
type Links = HashMap<MemberId, Arc<HomeLink>>;

/// What the edge knows of its limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EdgeLimits {
    pub(crate) connections: usize,
    pub(crate) connections_per_user: usize,
    pub(crate) outbox: Bounds,
    pub(crate) user_rate: Rate,
    pub(crate) sync_spread_ms: u32,
    pub(crate) presence_grace_ms: u32,
}

/// All connections of this process, by shard and user.
pub(crate) struct Edge {
    pub(crate) member: MemberId,
    pub(crate) shards: SlotCount,
    pub(crate) limits: EdgeLimits,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    home: Arc<Home>,
    shutdown: Shutdown,
    table: Box<[Mutex<EdgeShard>]>,
    /// Locked before a shard, never while one is.
    links: Mutex<Links>,
    leaving: Leaving,
    next_connection: AtomicU64,
    connections: AtomicUsize,
    refusing: AtomicBool,
}

impl Edge {
    pub(crate) fn new(
        home: Arc<Home>,
        shards: SlotCount,
        limits: EdgeLimits,
        metrics: Arc<Metrics>,
        shutdown: Shutdown,
    ) -> Arc<Self> {
        Arc::new(Self {
            member: home.member.clone(),
            shards,
            limits,
            clock: Clock::start(),
            metrics,
            home,
            shutdown,
            table: shards.slots().map(|_| Mutex::default()).collect(),
            links: Mutex::default(),
            leaving: Leaving::default(),
            // Records of a predecessor with this member id must not hit our connections: ids go on from the time.
            next_connection: AtomicU64::new(u64::try_from(unix_ms()).unwrap_or_default() << 20),
            connections: AtomicUsize::new(0),
            refusing: AtomicBool::new(false),
        })
    }

    pub(crate) fn next_connection_id(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes no new sockets from now on.
    pub(crate) fn refuse(&self) {
        self.refusing.store(true, Ordering::Relaxed);
    }

    /// Counts a socket in; `None` past the limit, or where this gateway is being emptied.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Admission> {
        if self.refusing.load(Ordering::Relaxed) {
            return None;
        }
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        let admission = Admission(Arc::clone(self));
        self.metrics.connections.increment(1);
        (before < self.limits.connections).then_some(admission)
    }

    /// Sockets now.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Every connection that was welcomed or is about to be.
    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        self.table.iter().flat_map(|shard| shard.lock().connections().cloned().collect::<Vec<_>>()).collect()
    }

    /// The shard of a user whose id is not 0.
    fn shard_of(&self, user: u64) -> Option<(Slot, &Mutex<EdgeShard>)> {
        let slot = self.shards.of_user(UserId::new(user)?);
        Some((slot, self.table.get(slot.index())?))
    }

    fn slots(&self) -> impl Iterator<Item = (Slot, &Mutex<EdgeShard>)> {
        self.shards.slots().zip(&self.table)
    }

    /// Tells a connection that it may have missed something.
    pub(crate) fn require_sync(&self, connection: &Connection, reason: &'static str) {
        self.metrics.sync_required.increment(1);
        let within_ms = match self.limits.sync_spread_ms {
            0 => 0,
            most => rand::rng().random_range(0..=most),
        };
        let frame = sync_required(connection.codec, within_ms, reason);
        self.push(connection, frame, false);
    }

    /// Queues a frame that the client did not ask for.
    fn push(&self, connection: &Connection, frame: Bytes, ephemeral: bool) {
        let pushed = connection.outbox.push(frame, ephemeral, self.limits.outbox, self.clock.now(), || {
            self.metrics.sync_required.increment(1);
            sync_required(connection.codec, 0, "slow")
        });
        match pushed {
            Pushed::Queued => self.metrics.deliveries.increment(1),
            Pushed::Dropped => self.metrics.dropped_pushes.increment(1),
        }
    }
}

fn sync_required(codec: Codec, within_ms: u32, reason: &str) -> Bytes {
    codec.encode(&ServerFrame {
        frame: Some(Frame::SyncRequired(SyncRequired { within_ms, reason: reason.to_owned() })),
    })
}

/// One of the process's sockets.
pub(crate) struct Admission(Arc<Edge>);

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.connections.decrement(1);
    }
}
