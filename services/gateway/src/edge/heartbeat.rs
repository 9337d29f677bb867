//! One sweep for all connections, in place of a timer for each.
//!
//! Every connection is visited once an interval. It is pinged, twice over: by a `ping` frame, which a script can see,
//! and by a WebSocket ping, which every client answers by itself. One that said nothing since the last visit is dead:
//! so it is closed within two intervals of its last word. One whose token has ended is closed, too, within an interval:
//! tokens that a mass reconnect issued in one second don't all bring their clients back in one second.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gochat_chassis::Shutdown;
use gochat_proto::client::{Ping, ServerFrame, server_frame::Frame};

use super::Edge;
use crate::clock::Millis;
use crate::error_codes::{self, CloseCode};
use crate::ws::codec::Codec;

/// A visit of all shards is cut into so many parts, so that the pings spread over the interval.
const PARTS: u32 = 32;

/// Sweeps until the sockets are gone.
pub(crate) async fn sweep(edge: Arc<Edge>, interval: Duration, shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(interval / PARTS);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let ping = ServerFrame { frame: Some(Frame::Ping(Ping { nonce: 0 })) };
    let pings = [Codec::Proto.encode(&ping), Codec::Json.encode(&ping)];
    let mut visited = [edge.clock.now(); PARTS as usize];
    let mut part = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.wait() => return,
        }
        if let Some(last) = visited.get_mut(part as usize) {
            let now = edge.clock.now();
            edge.visit(part, now, now.since(*last), &pings);
            *last = now;
        }
        part = (part + 1) % PARTS;
        if part == 0 {
            edge.prune();
        }
    }
}

impl Edge {
    fn visit(&self, part: u32, now: Millis, since_last_ms: u32, [proto, json]: &[Bytes; 2]) {
        for (slot, shard) in self.slots().filter(|(slot, _)| slot.0 % PARTS == part) {
            let shard = shard.lock();
            let (mut silent, mut expired) = (0u32, 0u32);
            for connection in shard.connections() {
                if connection.silent(now) > since_last_ms {
                    connection.outbox.close(CloseCode::HeartbeatTimeout);
                    silent += 1;
                    continue;
                }
                if connection.is_expired(now) {
                    connection.refuse(error_codes::TOKEN_EXPIRED, CloseCode::TokenExpired);
                    expired += 1;
                    continue;
                }
                connection.outbox.check(self.limits.outbox, now);
                if !connection.outbox.is_over(self.limits.outbox.bytes / 2) {
                    let ping = if connection.codec == Codec::Proto { proto } else { json };
                    connection.outbox.answer(ping.clone());
                    connection.outbox.ping();
                }
            }
            if silent + expired > 0 {
                tracing::debug!(%slot, silent, expired, "connections closed");
            }
        }
    }
}
