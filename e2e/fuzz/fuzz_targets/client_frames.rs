//! What a gateway reads from clients, in both subprotocols.
#![no_main]

use gochat_proto::client::ClientFrame;
use libfuzzer_sys::fuzz_target;

#[path = "../round_trip.rs"]
mod round_trip;

fuzz_target!(|bytes: &[u8]| {
    round_trip::proto::<ClientFrame>(bytes);
    round_trip::json::<ClientFrame>(bytes);
});
