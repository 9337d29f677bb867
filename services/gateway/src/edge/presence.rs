//! Who watches whom: connections here watch users of any shard; each user's home says who is online.

use std::collections::BTreeSet;
use std::sync::Arc;

use gochat_proto::client::{self, ServerFrame, server_frame::Frame};
use gochat_proto::gateway::{Presence, Unwatch, Watch, edge_message::Message};

use super::{Connection, Edge};
use crate::ws::codec::Shared;

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
        if watched.online.replace(presence.online) == Some(presence.online) {
            return;
        }
        let frame = Shared::of(&frame(presence.user_id, presence.online));
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
