//! The `GoChatCluster` resource: what a person writes to have a chat system.
//!
//! ```text
//! cluster   GoChatCluster and its spec, as they are written
//! check     ranges: what the schema can't say
//! ```
//!
//! Everything but `apiVersion`, `kind` and the name has a default. These types know nobody: neither the operator nor
//! the services.

mod check;
mod cluster;

pub use check::InvalidCluster;
pub use cluster::{
    Auth, GatewaySpec, GoChatCluster, KafkaSpec, Limits, LogicSpec, Metadata, Spec, TaskSpec, TopicSpec,
    Topics,
};

/// The sample cluster: the smallest in which everything crosses from one member to another.
pub const SAMPLE: &str = include_str!("../samples/gochatcluster.yaml");
