//! Turns GoChatCluster resources into running workloads, scales them and moves their slots.
//!
//! ```text
//!            GoChatCluster                                    pods of the cluster
//!                 │ watch                                          │ load reports (gRPC)
//!                 ▼                                                ▼
//!  cluster   dereference → validate → rollout → build      live    members, loads ──▶ planner, autoscaler (gochat-brain)
//!            → apply → orphans → status                            │           │
//!                 ▲            ▲                                   │           └──▶ GoChatPlacement, GoChatRebalance
//!                 │            └──── LiveView: replicas, balance ──┘
//!              kafka   topics, partitions, lag
//!
//!  names     names, labels, annotations, ports: one place
//! ```
//!
//! Everything between `dereference` and `apply` is pure: it can be printed without a cluster (`gochat-operator render`) and
//! is tested without one.

pub mod children;
pub mod client;
pub mod cluster;
pub mod definitions;
pub mod events;
pub mod kafka;
pub mod leader;
pub mod live;
pub mod metrics;
pub mod names;
pub mod run;
pub mod scope;
pub mod settings;
pub mod views;
pub mod wakeups;
