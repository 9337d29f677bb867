//! What the brain is told: a GoChatCluster and its members' load reports become pictures, signals and policies.
//!
//! ```text
//! member ──load reports (gRPC)──▶ reports ──┬──▶ loads ──▶ picture ──▶ planner    ┐
//!                                           └──▶ scaling ────────────▶ autoscaler ├ gochat-brain
//! GoChatCluster ────────────────▶ policy ─────────────────────────────▲           ┘
//! ```
//!
//! Everything but `reports` and `clock` is pure. The operator and `gochat dev` both look through this crate, and differ in
//! what they see members in (pods; tasks of one process) and in what they do about a decision.

mod clock;
mod loads;
mod picture;
mod policy;
mod reports;
mod scaling;

pub use clock::Clock;
pub use loads::Capacity;
pub use picture::{Member, Picture};
pub use policy::rebalancing;
pub use reports::{Heard, Link};
pub use scaling::{Aged, Backlog, ByBroker, Crew, Scaling, cores};
