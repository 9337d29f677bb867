//! Real Kafka, MariaDB, Redis, etcd and Kubernetes API as private processes on loopback, for tests and benchmarks.
//!
//! ```text
//! Stack ───────▶ Kafka, MariaDb, Redis, Etcd
//! Kubernetes ──▶ Etcd, API server, controllers; gives kubectl, kubeconfigs, and what was asked of it
//!                   └─▶ Server ──▶ Process    starts on a free port, waits for a real answer; killed (SIGKILL) and
//!                                             restarted on the same port and data
//! available, skip_loudly                    what this machine lacks is skipped by name, and counted by `make test`
//! ```
//!
//! `install.sh` beside this crate puts the programs and ready-made data folders in place; nothing is installed here.
//!
//! # Guarantees
//! - Everything listens on 127.0.0.1, on ports below 32768: above is the ephemeral range, where a client's own
//!   connection could sit.
//! - A started engine has answered a request of its own protocol.
//! - No process outlives the one that started it, however that ends.

mod etcd;
mod folder;
mod kafka;
mod kubernetes;
mod mariadb;
mod ports;
mod probe;
mod process;
mod redis;
mod server;
mod skip;
mod stack;

pub use etcd::Etcd;
pub use kafka::Kafka;
pub use kubernetes::{Kubernetes, Options as KubernetesOptions, Request};
pub use mariadb::MariaDb;
pub use ports::free_port;
pub use process::Process;
pub use redis::Redis;
pub use server::Server;
pub use skip::{Engine, available, missing, skip_loudly};
pub use stack::Stack;

/// What an engine is started for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tuning {
    /// Starts fast, stays small.
    #[default]
    Function,
    /// Runs fast: full compiler and a larger heap for Kafka, a larger buffer pool for MariaDB.
    Load,
}
