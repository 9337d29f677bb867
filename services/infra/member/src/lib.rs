//! What makes a process a member of a placed workload.
//!
//! ```text
//! identity    its id, the address that others reach it under
//! peers       another workload's living members, and calls to them
//! load        what each slot did: records and bytes counted, CPU and memory of the process
//! operations  `ops.v1.Operations`: load reports and drain, the same for every workload
//! stay        until it is told to stop, and in which order it then goes
//! ```

mod identity;
mod load;
mod operations;
mod peers;
mod stay;

pub use identity::{advertised, member_id};
pub use load::{SlotMeter, Usage};
pub use operations::{Drain, LagOf, Operations, report_interval};
pub use peers::{Peer, addresses};
pub use stay::{ConsumerEnded, Stay};
