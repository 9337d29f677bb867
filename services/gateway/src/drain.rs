//! Empties a gateway: slots first, then sockets, so that no home dies with users and nobody comes back here.

use std::sync::Arc;
use std::time::Duration;

use gochat_coord::{Coord, Member, Membership};
use gochat_core::Workload;
use gochat_member::SlotMeter;
use gochat_proto::client::{GoingAway, ServerFrame, server_frame::Frame};
use rand::seq::SliceRandom as _;
use tokio::time::Instant;

use crate::edge::{Connection, Edge};
use crate::error_codes::CloseCode;
use crate::gateway::{Gateway, millis};

/// How long slots may take to find other owners.
const SLOTS_TIMEOUT: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(20);
/// How long closed sockets may take to end.
const HANG_UP_TIMEOUT: Duration = Duration::from_secs(3);

/// Takes no new work, hands the slots on, and sends clients away: at the configured rate, or over the configured
/// window where that is shorter.
pub(crate) async fn empty(
    gateway: &Gateway,
    coord: &Coord,
    membership: &Membership,
    me: Member,
    meter: &SlotMeter,
) {
    let edge = &gateway.edge;
    let window = window(edge.connections(), gateway.config.drain_rate, *gateway.drain_window.lock());
    tracing::info!(connections = edge.connections(), slots = meter.owned().len(), ?window, "gateway drains");
    edge.refuse();
    if let Err(error) = membership.update(Member { draining: true, ..me }).await {
        tracing::warn!(%error, "draining can't be announced");
    }
    let successors = coord.members(Workload::Gateway);
    let has_successor = || successors.borrow().iter().any(|member| !member.draining);
    let slots_until = Instant::now() + SLOTS_TIMEOUT;
    while !meter.owned().is_empty() && has_successor() && Instant::now() < slots_until {
        tokio::time::sleep(STEP).await;
    }

    // In random order: users of one conversation shouldn't all leave at once.
    let mut leaving = edge.all();
    leaving.shuffle(&mut rand::rng());
    let began = Instant::now();
    let total = leaving.len();
    while !leaving.is_empty() {
        // With nobody to go to there is nothing to spread.
        let share = if has_successor() && !window.is_zero() {
            (began.elapsed().as_secs_f64() / window.as_secs_f64()).min(1.0)
        } else {
            1.0
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
        let stay = ((1.0 - share) * total as f64) as usize;
        for connection in leaving.drain(stay.min(leaving.len())..) {
            send_away(&connection, millis(window));
        }
        if !leaving.is_empty() {
            tokio::time::sleep(STEP).await;
        }
    }
}

/// Over which so many clients are sent away.
fn window(clients: usize, rate: u32, longest: Duration) -> Duration {
    Duration::from_secs_f64(clients as f64 / f64::from(rate.max(1))).min(longest)
}

/// Closes whatever is left.
pub(crate) async fn hang_up(edge: &Arc<Edge>) {
    let until = Instant::now() + HANG_UP_TIMEOUT;
    while edge.connections() > 0 && Instant::now() < until {
        for connection in edge.all() {
            connection.outbox.close(CloseCode::Shutdown);
        }
        tokio::time::sleep(STEP).await;
    }
}

fn send_away(connection: &Arc<Connection>, retry_after_ms: u32) {
    let going = GoingAway { retry_after_ms, resume_token: connection.resume_token.to_string() };
    let frame = ServerFrame { frame: Some(Frame::GoingAway(going)) };
    connection.outbox.close_with(connection.codec.encode(&frame), CloseCode::GoingAway);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_takes_as_long_as_its_rate_needs_and_never_longer_than_its_window() {
        let longest = Duration::from_secs(30);
        assert_eq!(window(0, 500, longest), Duration::ZERO);
        assert_eq!(window(1_000, 500, longest), Duration::from_secs(2));
        assert_eq!(window(100_000, 500, longest), longest);
        assert_eq!(window(10, 0, longest), Duration::from_secs(10));
    }
}
