//! The gateway's counters, looked up once: a message costs an atomic addition, not a search by name.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::error_codes::CloseCode;

/// Handles of all metrics, labelled with the member since `dev` runs several in one process.
pub(crate) struct Metrics {
    member: String,
    pub(crate) connections: Gauge,
    /// Users with a session, in the shards that are at home here.
    pub(crate) online_users: Gauge,
    pub(crate) frames_in: Counter,
    pub(crate) frames_out: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) acks: Counter,
    pub(crate) accepted: Counter,
    pub(crate) refused: Counter,
    /// Of those, the sends that logic has no time for.
    pub(crate) overloaded: Counter,
    /// Records that the busiest logic has before it, as this gateway last read.
    pub(crate) upstream_backlog: Gauge,
    pub(crate) deliveries: Counter,
    pub(crate) dropped_pushes: Counter,
    pub(crate) sync_required: Counter,
    /// Records of `downstream` that this home consumed.
    pub(crate) downstream_records: Counter,
    /// Deliveries that left for another process.
    pub(crate) relay_hops: Counter,
    /// Deliveries to the edge in this process.
    pub(crate) local_hops: Counter,
    /// From the frame to its durability in the log.
    pub(crate) accept_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new(member: &str) -> Self {
        let m = member.to_owned();
        macro_rules! count {
            ($name:literal) => {
                counter!($name, "member" => m.clone())
            };
        }
        Self {
            connections: gauge!("gochat_gateway_connections", "member" => m.clone()),
            online_users: gauge!("gochat_gateway_online_users", "member" => m.clone()),
            frames_in: count!("gochat_gateway_frames_in_total"),
            frames_out: count!("gochat_gateway_frames_out_total"),
            bytes_out: count!("gochat_gateway_out_bytes"),
            acks: count!("gochat_gateway_acks_total"),
            accepted: count!("gochat_gateway_accepted_total"),
            refused: count!("gochat_gateway_refused_total"),
            overloaded: count!("gochat_gateway_overloaded_total"),
            upstream_backlog: gauge!("gochat_gateway_upstream_backlog", "member" => m.clone()),
            deliveries: count!("gochat_gateway_deliveries_total"),
            dropped_pushes: count!("gochat_gateway_dropped_pushes_total"),
            sync_required: count!("gochat_gateway_sync_required_total"),
            downstream_records: count!("gochat_gateway_downstream_records_total"),
            relay_hops: count!("gochat_gateway_relay_hops_total"),
            local_hops: count!("gochat_gateway_local_hops_total"),
            accept_seconds: histogram!("gochat_gateway_accept_seconds", "member" => m),
            member: member.to_owned(),
        }
    }

    /// Rare, so by name.
    pub(crate) fn closed(&self, code: Option<CloseCode>) {
        let code = code.map_or("peer", CloseCode::reason);
        counter!("gochat_gateway_closes_total", "member" => self.member.clone(), "code" => code).increment(1);
    }
}
