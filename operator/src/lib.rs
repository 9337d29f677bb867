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

pub mod cluster;
pub mod live;
pub mod names;
pub mod run;
