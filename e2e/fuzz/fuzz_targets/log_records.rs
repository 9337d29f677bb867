//! What services read from the log, and gateways from each other.
#![no_main]

use gochat_proto::{events, gateway};
use libfuzzer_sys::fuzz_target;

#[path = "../round_trip.rs"]
mod round_trip;

fuzz_target!(|bytes: &[u8]| {
    round_trip::proto::<events::Upstream>(bytes);
    round_trip::proto::<events::Downstream>(bytes);
    round_trip::proto::<events::Task>(bytes);
    round_trip::proto::<gateway::EdgeMessage>(bytes);
    round_trip::proto::<gateway::HomeMessage>(bytes);
});
