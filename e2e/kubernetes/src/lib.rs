//! GoChat on a real Kubernetes cluster, for tests: pods on nodes, made by the operator.
//!
//! ```text
//! kubectl   what a person would type, against the cluster that KUBECONFIG names
//! cluster   whether there is one, and who has it for himself
//! chat      a GoChatCluster in a namespace of its own, with a database and topics of its own
//! load      `gochat bench` against it: its exit code is the ledger's verdict
//! fault     something happens while people chat: the ledger has to be clean, and how long it was felt is kept
//! haproxy   a load balancer outside of the cluster
//! node      powers a kind node off and on, cuts it off, drains it; gives an image on all of them another tag
//! operator  which of its pods leads
//! ```
//!
//! `make e2e` brings all of it up (kind/up.sh) and runs the tests where the cluster's addresses are reachable. The stores
//! are named by `E2E_KAFKA`, `E2E_MYSQL` and `E2E_REDIS`, the program by `GOCHAT_BIN`.
#![allow(clippy::print_stderr, reason = "a test harness tells what it does")]

mod chat;
mod cluster;
mod fault;
mod haproxy;
mod kubectl;
mod load;
mod node;
pub mod operator;

pub use chat::{Chat, Pod, WORKLOADS};
pub use cluster::{alone, shared};
pub use fault::{record, under};
pub use haproxy::HaProxy;
pub use kubectl::{apply, eventually, feed, json, kubectl, stays};
pub use load::{Load, Report};
pub use node::{Node, tag_image};

use std::path::{Path, PathBuf};

/// Where logs and reports of a test are kept.
pub fn artifacts(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../artifacts/kubernetes").join(name)
}
