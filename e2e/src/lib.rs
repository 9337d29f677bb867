//! GoChat as it runs in production, for tests: every service its own process, on real engines.
//!
//! ```text
//! Cluster ── start ──▶ Stack (engines; one per test process, clusters on it apart by prefix and database)
//!    │                 Service × n (`gochat gateway`, …; kill, restart, metrics)
//!    ├─ Load           `gochat bench` beside it: its exit code is the ledger's verdict
//!    ├─ Socket         one WebSocket that never reconnects, for what a well-behaved client would not do
//!    └─ Collector      the spans that processes export
//! ```
//!
//! What a cluster writes is kept under `e2e/artifacts/<cluster>/`.
#![allow(clippy::print_stderr, reason = "a test harness tells what it does")]

mod binary;
mod cluster;
mod collector;
mod http;
mod load;
mod metrics;
mod service;
mod socket;
mod stack;
mod user;

pub use cluster::{Cluster, PARTITIONS, SECRET, SHARDS, Size};
pub use collector::{Collector, Spans};
pub use load::{Load, Report};
pub use metrics::Metrics;
pub use service::Service;
pub use socket::{Encoding, Socket};
pub use stack::shared as shared_stack;
pub use user::User;

use std::path::{Path, PathBuf};

/// Where logs, reports and pictures of a test are kept.
pub fn artifacts(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts").join(name)
}
