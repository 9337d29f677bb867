//! What the operator decides, and why: pure functions and state machines over what was observed.
//!
//! ```text
//!                 loads, members, map                    signals, replicas
//!                         ▼                                      ▼
//!  planner   solve(problem) → moves + reasons      autoscaler   decide(now, observed) → replicas + reason
//!            Rebalancer: when to act                             │
//!                         └──────────────┬───────────────────────┘
//!                                   simulation: both over a recorded trace
//! ```
//!
//! This crate has no clock, no I/O and no names: time is a parameter (a `Duration` since an origin of the caller's), and
//! slots and members are ordinals. Whatever it decides can be decided again from the same input, which is what lets the
//! operator, `gochat dev` and `simulate` run the same code and a decision be replayed.

pub mod autoscaler;
pub mod planner;
pub mod simulation;
mod words;
