//! Who watches whom: connections here watch users of any shard; each user's home says who is online.
//!
//! Who seems to have gone is told offline only after a grace, and who is back by then was never away. The grace is kept
//! here and not at the home, so that it also covers a home that died or moved with the user's last socket.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gochat_chassis::Shutdown;
use gochat_proto::client::{self, ServerFrame, server_frame::Frame};
use gochat_proto::gateway::{Presence, Unwatch, Watch, edge_message::Message};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::shard::Watched;
use super::{Connection, Edge};
use crate::clock::Millis;
use crate::ws::codec::Shared;

/// Watched users that seem to have gone, by when that is told; one that came back since is passed over.
#[derive(Default)]
pub(super) struct Leaving {
    queue: Mutex<VecDeque<(Millis, u64)>>,
    first: Notify,
}

impl Leaving {
    fn add(&self, due: Millis, user: u64) {
        let mut queue = self.queue.lock();
        queue.push_back((due, user));
        if queue.len() == 1 {
            self.first.notify_one();
        }
    }

    /// Whoever is due, or how long that takes; `None` where nobody is leaving. The grace is the same for all, so the
    /// first in the queue is the first that is due.
    fn next(&self, now: Millis) -> Option<Result<(Millis, u64), Duration>> {
        let mut queue = self.queue.lock();
        let (due, _) = *queue.front()?;
        if now.is_at_or_after(due) {
            return queue.pop_front().map(Ok);
        }
        Some(Err(Duration::from_millis(due.since(now).into())))
    }
}

/// Tells of those who did not come back.
pub(crate) async fn tell_of_leavers(edge: Arc<Edge>, stop: Shutdown) {
    loop {
        let wait = match edge.leaving.next(edge.clock.now()) {
            Some(Ok((due, user))) => {
                edge.left(user, due);
                continue;
            }
            Some(Err(wait)) => Some(wait),
            None => None,
        };
        tokio::select! {
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            () = edge.leaving.first.notified(), if wait.is_none() => {}
            () = stop.wait() => return,
        }
    }
}

impl Edge {
    /// Replaces what a connection watches; `before` is what it watched.
    pub(crate) fn watch(&self, connection: &Arc<Connection>, before: &BTreeSet<u64>, now: &BTreeSet<u64>) {
        for user in before.difference(now) {
            self.unwatch_one(connection, *user);
        }
        for user in now {
            self.watch_one(connection, *user, before.contains(user));
        }
    }

    fn watch_one(&self, connection: &Arc<Connection>, user: u64, watched_before: bool) {
        let Some((slot, shard)) = self.shard_of(user) else { return };
        let mut shard = shard.lock();
        let watched = shard.watched.entry(user).or_default();
        let first = watched.watchers.is_empty();
        if !watched_before {
            watched.watchers.push(Arc::clone(connection));
        }
        // Every watched user is answered, also one that was watched before.
        if let Some(online) = watched.online {
            self.push(connection, connection.codec.encode(&frame(user, online)), true);
        }
        if first {
            shard.tell(&Message::Watch(Watch { shard: slot.0, user_ids: vec![user] }));
        }
    }

    fn unwatch_one(&self, connection: &Arc<Connection>, user: u64) {
        let Some((slot, shard)) = self.shard_of(user) else { return };
        let mut shard = shard.lock();
        let Some(watched) = shard.watched.get_mut(&user) else { return };
        watched.watchers.retain(|other| !Arc::ptr_eq(other, connection));
        if watched.watchers.is_empty() {
            shard.watched.remove(&user);
            shard.tell(&Message::Unwatch(Unwatch { shard: slot.0, user_ids: vec![user] }));
        }
    }

    /// A home says that a user came or went (or, after a move, what we know already).
    pub(super) fn presence(&self, presence: Presence) {
        let Some((_, shard)) = self.shard_of(presence.user_id) else { return };
        let mut shard = shard.lock();
        let Some(watched) = shard.watched.get_mut(&presence.user_id) else { return };
        if presence.online || watched.online != Some(true) {
            watched.leaving = None;
            return self.tell(watched, presence.user_id, presence.online);
        }
        // Said again, by the next home: the first time counts.
        if watched.leaving.is_none() {
            let due = self.clock.now().after_ms(self.limits.presence_grace_ms.into());
            watched.leaving = Some(due);
            self.leaving.add(due, presence.user_id);
        }
    }

    /// The grace of a user is over.
    fn left(&self, user: u64, due: Millis) {
        let Some((_, shard)) = self.shard_of(user) else { return };
        let mut shard = shard.lock();
        let Some(watched) = shard.watched.get_mut(&user).filter(|w| w.leaving == Some(due)) else { return };
        watched.leaving = None;
        self.tell(watched, user, false);
    }

    /// Tells the watchers what is new to them.
    fn tell(&self, watched: &mut Watched, user: u64, online: bool) {
        if watched.online.replace(online) == Some(online) {
            return;
        }
        let frame = Shared::of(&frame(user, online));
        for connection in &watched.watchers {
            if let Some(bytes) = frame.for_codec(connection.codec) {
                self.push(connection, bytes, true);
            }
        }
    }
}

fn frame(user_id: u64, online: bool) -> ServerFrame {
    ServerFrame { frame: Some(Frame::Presence(client::Presence { user_id, online })) }
}
