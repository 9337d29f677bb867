//! A session comes and goes.

use std::sync::Arc;

use gochat_proto::gateway::{AttachUser, DetachUser, UserAttached, edge_message::Message};
use tokio::sync::oneshot;

use super::link::HomeLink;
use super::shard::{EdgeShard, UserSessions, Waiting};
use super::{Connection, Edge};
use crate::ws::rate::Bucket;

/// The user has as many connections here as it may.
#[derive(Debug)]
pub(crate) struct TooMany;

/// Whether the user's home knows of the session.
pub(crate) enum Attached {
    /// It does already.
    Now,
    /// It was asked: resolves to whether the session has to sync after its welcome. Where nobody waits for it any
    /// more, the session is told to sync.
    Soon(oneshot::Receiver<bool>),
}

impl Edge {
    /// Adds a connection; from now on its outbox gets the user's pushes.
    pub(crate) fn attach(&self, connection: &Arc<Connection>) -> Result<Attached, TooMany> {
        let Some((slot, shard)) = self.shard_of(connection.user) else { return Err(TooMany) };
        let mut shard = shard.lock();
        let user = shard.users.entry(connection.user).or_insert_with(|| UserSessions {
            connections: Vec::with_capacity(1),
            bucket: Bucket::full(self.limits.user_rate, self.clock.now()),
        });
        if user.connections.len() >= self.limits.connections_per_user {
            return Err(TooMany);
        }
        user.connections.push(Arc::clone(connection));
        let first = user.connections.len() == 1;
        if !first && !shard.waiting.contains_key(&connection.user) {
            return Ok(Attached::Now);
        }
        let (tx, rx) = oneshot::channel();
        if let Some(waiting) = shard.waiting.get_mut(&connection.user) {
            waiting.sessions.push((Arc::clone(connection), tx));
            return Ok(Attached::Soon(rx));
        }
        // The answer names only the request, so the request names the shard: 12 bits hold 4,096 of them.
        shard.next_request += 1;
        let request = shard.next_request << 12 | u64::from(slot.0);
        shard.tell(&Message::AttachUser(AttachUser {
            shard: slot.0,
            user_id: connection.user,
            request_id: request,
        }));
        let sessions = vec![(Arc::clone(connection), tx)];
        shard.waiting.insert(connection.user, Waiting { request, sessions });
        Ok(Attached::Soon(rx))
    }

    /// Removes a connection.
    pub(crate) fn detach(&self, connection: &Arc<Connection>) {
        let Some((slot, shard)) = self.shard_of(connection.user) else { return };
        let mut shard = shard.lock();
        let Some(user) = shard.users.get_mut(&connection.user) else { return };
        user.connections.retain(|other| !Arc::ptr_eq(other, connection));
        if user.connections.is_empty() {
            shard.users.remove(&connection.user);
            shard.waiting.remove(&connection.user);
            shard.tell(&Message::DetachUser(DetachUser { shard: slot.0, user_id: connection.user }));
        }
    }

    /// Takes a token of the user's bucket, or says when there is one.
    pub(crate) fn take_user_token(&self, user: u64) -> Result<(), u32> {
        let Some((_, shard)) = self.shard_of(user) else { return Ok(()) };
        match shard.lock().users.get_mut(&user) {
            Some(sessions) => sessions.bucket.take(self.limits.user_rate, self.clock.now()),
            None => Ok(()),
        }
    }

    pub(super) fn user_attached(&self, link: &Arc<HomeLink>, answer: UserAttached) {
        let index = usize::try_from(answer.request_id & 0xfff).unwrap_or(usize::MAX);
        let Some(shard) = self.table.get(index) else { return };
        let mut shard = shard.lock();
        // "Not mine" is followed by an attachment elsewhere, which completes it.
        if !answer.owned || !shard.is_current(link) {
            return;
        }
        let user = shard.waiting.iter().find(|(_, w)| w.request == answer.request_id).map(|(user, _)| *user);
        if let Some(waiting) = user.and_then(|user| shard.waiting.remove(&user)) {
            // While an old home still consumes, it may not have heard of this user when the new one had.
            let sync = shard.homes.len() > 1;
            self.complete(waiting, sync);
        }
    }

    /// The current home has all users of the shard.
    pub(super) fn complete_all(&self, shard: &mut EdgeShard, sync: bool) {
        for (_, waiting) in shard.waiting.drain() {
            self.complete(waiting, sync);
        }
    }

    fn complete(&self, waiting: Waiting, sync: bool) {
        for (connection, waiter) in waiting.sessions {
            if waiter.send(sync).is_err() {
                self.require_sync(&connection, "attached");
            }
        }
    }
}
