//! What the operator decides, without a cluster: small YAML in, objects, turns and conditions out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't go on fails"
)]

mod conditions;
mod golden;
mod kubelet;
mod objects;
mod rollout;
mod samples;
