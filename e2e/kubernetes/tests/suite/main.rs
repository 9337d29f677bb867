//! What a chat system on a real cluster has to do, each test in a namespace of its own. Two run at a time; those that do
//! something to a node or to the operator, or measure the use of CPU, which all of them share, run alone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod autoscaler;
mod balancer;
mod browser;
mod chat;
mod deletion;
mod faults;
mod gitops;
mod lifecycle;
mod nodes;
mod operator;
mod security;
mod versions;
