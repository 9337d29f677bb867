//! What a client reads from a gateway, in both subprotocols.
#![no_main]

use gochat_proto::client::ServerFrame;
use libfuzzer_sys::fuzz_target;

#[path = "../round_trip.rs"]
mod round_trip;

fuzz_target!(|bytes: &[u8]| {
    round_trip::proto::<ServerFrame>(bytes);
    round_trip::json::<ServerFrame>(bytes);
});
