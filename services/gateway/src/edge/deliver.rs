//! A record of the log to the sockets of its recipients: the same bytes to all, and the origin's in their place.

use gochat_proto::events::{Downstream, RevokeSession};
use gochat_proto::gateway::Deliver;

use super::Edge;
use crate::error_codes::{self, CloseCode};
use crate::ws::codec::Shared;

impl Edge {
    /// Queues it at every session of the recipients here.
    pub(crate) fn deliver(&self, deliver: Deliver) {
        let Deliver { record: Some(record), shard, traceparent } = deliver else { return };
        let span = crate::trace::delivery(&traceparent, shard);
        let _entered = span.enter();
        if let Some(revoke) = &record.revoke {
            self.revoke(*revoke);
        }
        let Downstream { recipients, frame, origin, origin_frame, ephemeral, .. } = record;
        // Connection ids are unique in their edge only.
        let origin = origin.filter(|o| o.edge == self.member.as_str()).map(|o| o.connection);
        let frame = Shared::new(frame);
        let origin_frame = Shared::new(origin_frame);
        let Some(shard) = usize::try_from(shard).ok().and_then(|index| self.table.get(index)) else { return };
        let shard = shard.lock();
        for connection in recipients.iter().filter_map(|r| shard.users.get(r)).flat_map(|u| &u.connections) {
            let frame = if origin == Some(connection.id) { &origin_frame } else { &frame };
            if let Some(bytes) = frame.for_codec(connection.codec) {
                self.push(connection, bytes, ephemeral);
            }
        }
    }

    /// Closes the connections of a session that was ended.
    fn revoke(&self, revoke: RevokeSession) {
        let Some((_, shard)) = self.shard_of(revoke.user_id) else { return };
        let shard = shard.lock();
        let Some(user) = shard.users.get(&revoke.user_id) else { return };
        for connection in user.connections.iter().filter(|c| c.session == revoke.session_id) {
            connection.refuse(error_codes::SESSION_REVOKED, CloseCode::SessionRevoked);
        }
    }
}
