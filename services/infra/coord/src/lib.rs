//! Coordination: who is there, who holds what, and the configuration that all watch.
//!
//! ```text
//! coord      Coord: what a service calls
//!  ├─ member      join: an entry that lives as long as its lease; members(workload) watches them all
//!  ├─ claim       held by one at a time: leader leases, worker ids, slots being worked on
//!  ├─ placement   the versioned map slot → member, published and watched
//!  ├─ owners      who owns each slot now: pure over placement and members
//!  └─ ownership   which slots this member owns now: acquire and release events
//!      └─ handover    its state machine, without I/O and without a clock
//! derive     values made from a view of the store and kept current with it
//! session    one lease and the keys under it, written again whenever they are lost
//! store      what a backend does: keys, leases, views ──▶ in process │ etcd │ Kubernetes API
//! ```
//!
//! # Guarantees
//! A backend that is away changes nothing: members, placement and ownership stay as last seen, claims count as held,
//! and everything is renewed when it is back. All of it is level-triggered: what is read is a view of the present,
//! never a history of events, so a reader that was away or slow misses nothing that still matters.
//!
//! # Caveats
//! A claim is a lease, not a fence: its holder may learn of the loss later than the next holder of its gain (after
//! a pause or a partition longer than the TTL). What must never happen twice needs its own check in the storage
//! that it writes to, or [`Coord::compare_and_put`].
//!
//! Everything here spawns tasks: call it on a tokio runtime.

mod claim;
mod config;
mod coord;
mod derive;
mod error;
mod handover;
mod member;
mod owners;
mod ownership;
mod placement;
mod session;
mod store;

pub use claim::Claim;
pub use config::{CoordConfig, KubernetesConfig};
pub use coord::Coord;
pub use error::CoordError;
pub use handover::Change;
pub use member::{Member, Membership};
pub use owners::Owners;
pub use ownership::Ownership;
