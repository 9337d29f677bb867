//! Settings of the gateway; section `gateway` of the file.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use gochat_chassis::config::{OutOfRange, in_range};
use gochat_core::MAX_TEXT_BYTES;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

/// Settings of one gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where clients connect: page, HTTP API and WebSocket.
    pub listen: SocketAddr,
    /// Where other gateways (relay) and the operator (load, drain) connect.
    pub grpc_listen: SocketAddr,
    /// `http://host:port` that other members reach `grpc_listen` by; empty: derived from the bound address.
    pub advertise: String,
    /// Unique name of this member; empty: `gateway-<hostname>-<pid>`.
    pub member: String,
    /// Write a push record for recipients without a session. Off unless the task service has a push sink.
    pub push_enabled: bool,
    /// Time of one call to logic, 100 ms to 60 s.
    #[serde(with = "humantime_serde")]
    pub call_timeout: Duration,
    /// How often each client is pinged; a client silent for two intervals is closed. 100 ms to 10 min.
    #[serde(with = "humantime_serde")]
    pub heartbeat_interval: Duration,
    /// The longest time over which clients are told to go when this gateway drains or stops; at most 1 h.
    #[serde(with = "humantime_serde")]
    pub drain_window: Duration,
    /// Clients told to go in a second, at least 1: what the other gateways can take on. Where the window is too short
    /// for that, it is the window that is kept.
    pub drain_rate: u32,
    /// The longest random delay before a client syncs that may have missed pushes, or came with many others; at most
    /// 10 min.
    #[serde(with = "humantime_serde")]
    pub sync_spread: Duration,
    /// How long a user may be without a connection before those who watch are told offline, 0 s to 10 min: a client
    /// that comes back within it was never away. 0 s: at once.
    #[serde(with = "humantime_serde")]
    pub presence_grace: Duration,
    /// What a client may do.
    pub limits: Limits,
}

/// What a client may do, and what it may cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Most connections of this process, at least 1; past it an upgrade is answered with 503.
    pub connections: usize,
    /// Most connections of one user at this gateway, at least 1.
    pub connections_per_user: usize,
    /// From the upgrade to a valid `hello`, 10 ms to 1 min.
    #[serde(with = "humantime_serde")]
    pub hello_timeout: Duration,
    /// Largest frame from a client, in bytes, 1 KiB to 1 MiB.
    pub frame_bytes: usize,
    /// Longest text of a message, in bytes of UTF-8; 1 to 16 KiB, which is what the database takes.
    pub text_bytes: usize,
    /// Messages a second that one connection may send for long, at least 1.
    pub messages_per_second: u32,
    /// Messages a second that all connections of a user at this gateway may send for long, at least 1.
    pub user_messages_per_second: u32,
    /// Seconds of rate that may be sent at once, at least 1.
    pub burst_seconds: u32,
    /// Frames refused for their rate, less those that were not, before the connection is closed.
    pub rate_refusals: u32,
    /// Messages of one connection that wait for the log, 1 to 65,535.
    pub unaccepted: usize,
    /// Messages that one logic may have before it in the log; past it sends into its conversations are refused with
    /// `overloaded` until it has caught up. Ten seconds of work, where the logic does 4,000 a second. Below 1,000 a logic
    /// that keeps up is taken for one that is behind: it has up to a second of work before it. At least 1.
    pub upstream_backlog: u64,
    /// Syncs of one connection in flight, 1 to 4.
    pub syncs: usize,
    /// Syncs of all connections in flight, at least 1; others wait their turn. When a gateway dies, thousands of clients sync at
    /// once: a queue here is cheaper than one at the database.
    pub syncs_in_flight: usize,
    /// Messages in one answer to a sync, 1 to 500.
    pub sync_messages: u32,
    /// Users whose presence one connection watches.
    pub watched_users: usize,
    /// Bytes that wait for one client, at least 1 KiB; past it pushes are dropped and it is told to sync.
    pub outbox_bytes: usize,
    /// Bytes that the kernel keeps for one client besides (Linux reserves twice as much when they are needed). Left to
    /// itself it lets a client that reads nothing take 4 MiB, of which no limit here would know.
    pub socket_send_bytes: u32,
    /// How long a client's queue may stay full before it is closed.
    #[serde(with = "humantime_serde")]
    pub outbox_full: Duration,
    /// Bytes that wait for another gateway, at least 64 KiB; past it its stream is closed after half a second, and it syncs.
    pub relay_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 8080).into(),
            grpc_listen: (Ipv4Addr::UNSPECIFIED, 9003).into(),
            advertise: String::new(),
            member: String::new(),
            push_enabled: false,
            call_timeout: Duration::from_secs(5),
            heartbeat_interval: Duration::from_secs(25),
            drain_window: Duration::from_secs(3),
            drain_rate: 500,
            sync_spread: Duration::from_secs(2),
            presence_grace: Duration::from_secs(5),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_000_000,
            connections_per_user: 16,
            hello_timeout: Duration::from_secs(5),
            frame_bytes: 64 * 1024,
            text_bytes: MAX_TEXT_BYTES,
            messages_per_second: 50,
            user_messages_per_second: 100,
            burst_seconds: 2,
            rate_refusals: 1_000,
            unaccepted: 256,
            upstream_backlog: 40_000,
            syncs: 4,
            syncs_in_flight: 64,
            sync_messages: 500,
            watched_users: 500,
            outbox_bytes: 256 * 1024,
            socket_send_bytes: 128 * 1024,
            outbox_full: Duration::from_secs(10),
            relay_bytes: 16 * 1024 * 1024,
        }
    }
}

impl Config {
    /// Has to be called where settings come from outside: what passes is used as it is.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), OutOfRange> {
        let (ms, minutes) = (Duration::from_millis, Duration::from_mins);
        in_range("gateway.call_timeout", self.call_timeout, ms(100)..=minutes(1))?;
        in_range("gateway.heartbeat_interval", self.heartbeat_interval, ms(100)..=minutes(10))?;
        in_range("gateway.drain_window", self.drain_window, ..=minutes(60))?;
        in_range("gateway.drain_rate", self.drain_rate, 1..)?;
        in_range("gateway.sync_spread", self.sync_spread, ..=minutes(10))?;
        in_range("gateway.presence_grace", self.presence_grace, ..=minutes(10))?;
        let l = &self.limits;
        in_range("gateway.limits.connections", l.connections, 1..)?;
        in_range("gateway.limits.connections_per_user", l.connections_per_user, 1..)?;
        in_range("gateway.limits.hello_timeout", l.hello_timeout, ms(10)..=minutes(1))?;
        in_range("gateway.limits.frame_bytes", l.frame_bytes, 1 << 10..=1 << 20)?;
        in_range("gateway.limits.text_bytes", l.text_bytes, 1..=MAX_TEXT_BYTES)?;
        in_range("gateway.limits.messages_per_second", l.messages_per_second, 1..)?;
        in_range("gateway.limits.user_messages_per_second", l.user_messages_per_second, 1..)?;
        in_range("gateway.limits.burst_seconds", l.burst_seconds, 1..)?;
        in_range("gateway.limits.unaccepted", l.unaccepted, 1..=u16::MAX.into())?;
        in_range("gateway.limits.upstream_backlog", l.upstream_backlog, 1..)?;
        in_range("gateway.limits.syncs", l.syncs, 1..=4)?;
        in_range("gateway.limits.syncs_in_flight", l.syncs_in_flight, 1..=Semaphore::MAX_PERMITS)?;
        in_range("gateway.limits.sync_messages", l.sync_messages, 1..=500)?;
        in_range("gateway.limits.outbox_bytes", l.outbox_bytes, 1 << 10..)?;
        in_range("gateway.limits.relay_bytes", l.relay_bytes, 64 << 10..)
    }
}
