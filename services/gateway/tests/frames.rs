//! Frames split and coalesced at any byte: a peer of ours loses messages exactly there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod support;

use gochat_proto::client::{ClientFrame, Ping, Send, client_frame};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use prost::Message as _;
use support::{Gateway, World, client_message};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What the server's bytes hold, as far as they are whole: (opcode, payload) of each message.
fn server_messages(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut messages = Vec::new();
    while let [first, length, rest @ ..] = bytes {
        let (length, rest) = match (length, rest) {
            (126, [a, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
            (n @ 0..=125, rest) => (usize::from(*n), rest),
            _ => break,
        };
        if rest.len() < length {
            break;
        }
        messages.push((first & 0xf, rest[..length].to_vec()));
        bytes = &rest[length..];
    }
    messages
}

/// Writes a client's bytes in these chunks, each in a segment of its own as far as the kernel cooperates, and returns
/// the nonces of the pongs and the ids of what was accepted.
async fn answers(
    gateway: &Gateway,
    user: u64,
    bytes: &[u8],
    cuts: &[usize],
    want: usize,
) -> (Vec<u64>, Vec<String>) {
    let mut stream = support::mute(gateway, user).await;
    stream.set_nodelay(true).unwrap();
    let (mut reader, mut writer) = stream.split();
    let write = async {
        let mut rest = bytes;
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            writer.write_all(now).await.unwrap();
            tokio::task::yield_now().await;
            rest = later;
        }
    };
    let read = async {
        let mut got = Vec::new();
        loop {
            let (mut pongs, mut accepted) = (Vec::new(), Vec::new());
            for (_, payload) in server_messages(&got).into_iter().filter(|(opcode, _)| *opcode == 1) {
                let frame: serde_json::Value = serde_json::from_slice(&payload).unwrap();
                if let Some(pong) = frame.get("pong") {
                    pongs.push(pong["nonce"].as_str().unwrap().parse().unwrap());
                } else if let Some(a) = frame.get("accepted") {
                    accepted.push(a["clientMsgId"].as_str().unwrap().to_owned());
                } else {
                    assert!(frame.get("ping").is_some(), "{frame}");
                }
            }
            if pongs.len() + accepted.len() >= want {
                return (pongs, accepted);
            }
            let mut chunk = [0; 4096];
            let n = reader.read(&mut chunk).await.unwrap();
            assert!(n > 0, "closed");
            got.extend_from_slice(&chunk[..n]);
        }
    };
    let ((), got) =
        tokio::time::timeout(std::time::Duration::from_secs(20), async { tokio::join!(write, read) })
            .await
            .expect("every frame is answered");
    got
}

#[test]
fn no_frame_is_lost_wherever_the_bytes_are_cut() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (_world, gateway) = runtime.block_on(async {
        let world = World::new().await;
        let [gateway] = world
            .gateways::<1>(|c| {
                c.limits.messages_per_second = 1_000_000;
                c.limits.user_messages_per_second = 1_000_000;
                c.limits.connections_per_user = 1_000;
            })
            .await;
        (world, gateway)
    });
    let frames = proptest::collection::vec((any::<bool>(), 0usize..400), 1..40);
    let cuts = proptest::collection::vec(1usize..200, 1..20);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() });
    runner
        .run(&(frames, cuts), |(frames, cuts)| {
            let (mut bytes, mut pings, mut sends) = (Vec::new(), Vec::new(), Vec::new());
            for (i, (ping, size)) in frames.into_iter().enumerate() {
                let frame = if ping {
                    pings.push(i as u64 + 1);
                    client_frame::Frame::Ping(Ping { nonce: i as u64 + 1 })
                } else {
                    sends.push(format!("m{i}"));
                    let text = "ä".repeat(size + 1);
                    client_frame::Frame::Send(Send {
                        conversation_id: 5,
                        client_msg_id: format!("m{i}"),
                        text,
                    })
                };
                let frame = ClientFrame { frame: Some(frame) };
                prop_assert!(frame.encoded_len() > 0);
                bytes.extend(client_message(0x1, serde_json::to_string(&frame).unwrap().as_bytes()));
            }
            let want = pings.len() + sends.len();
            let (pongs, mut accepted) = runtime.block_on(answers(&gateway, 7, &bytes, &cuts, want));
            prop_assert_eq!(pongs, pings, "in order");
            accepted.sort();
            sends.sort();
            prop_assert_eq!(accepted, sends);
            Ok(())
        })
        .unwrap();
}

#[test]
fn one_byte_at_a_time_is_enough() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::new().await;
        let [gateway] = world.gateways::<1>(|_| {}).await;
        let bytes: Vec<u8> = [3u64, 4, 5]
            .into_iter()
            .flat_map(|nonce| client_message(0x1, format!(r#"{{"ping":{{"nonce":"{nonce}"}}}}"#).as_bytes()))
            .collect();
        assert_eq!(answers(&gateway, 7, &bytes, &[1], 3).await, (vec![3, 4, 5], vec![]));
    });
}
