//! Across two gateways: sender and receiver on different ones, and a shard that moves between them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod support;

use gochat_proto::client::{Committed, ServerFrame, WatchPresence, client_frame, server_frame};
use gochat_proto::events::{Downstream, Origin, upstream};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use prost::Message as _;
use support::{World, message, seq, until};

/// A counter, over all members of the process.
fn total(metrics: &PrometheusHandle, name: &str) -> u64 {
    let page = metrics.render();
    let lines = page.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// The only test of this binary: the counters are the process's.
#[tokio::test]
async fn a_message_between_two_gateways_is_one_record_and_one_hop_and_a_moved_shard_closes_no_socket() {
    let metrics = PrometheusBuilder::new().install_recorder().unwrap();
    let world = World::new().await;
    let [first, second] = world.gateways::<2>(|_| {}).await;

    // Even shards live at the first gateway. The sender's edge is the first, the receiver's the second, and both
    // users' home is the first.
    let (sender, receiver) = (world.user_in(0, 0), world.user_in(0, 1));
    let mut sending = first.login(sender).await;
    let mut receiving = second.login(receiver).await;
    let send =
        gochat_proto::client::Send { conversation_id: 5, client_msg_id: "m1".into(), text: "hi".into() };
    sending.send(client_frame::Frame::Send(send)).await;
    let accepted = sending.next().await;
    assert!(matches!(&accepted, server_frame::Frame::Accepted(a) if a.client_msg_id == "m1"), "{accepted:?}");
    let record = world.upstream(1).await.remove(0);
    assert_eq!(record.user_id, sender);
    assert!(matches!(&record.event, Some(upstream::Event::Send(s)) if s.text == "hi"));
    let origin = record.origin.unwrap();
    assert_eq!(origin.edge, first.member.as_str());

    let committed =
        server_frame::Frame::Committed(Committed { conversation_id: 5, seq: 1, ..Committed::default() });
    world
        .downstream(Downstream {
            recipients: vec![sender, receiver],
            frame: message(1).encode_to_vec().into(),
            origin: Some(Origin { ..origin }),
            origin_frame: ServerFrame { frame: Some(committed.clone()) }.encode_to_vec().into(),
            ..Downstream::default()
        })
        .await;
    assert_eq!(sending.next().await, committed, "the origin gets its own frame");
    assert_eq!(seq(&receiving.next().await), 1);
    assert_eq!(total(&metrics, "gochat_gateway_downstream_records_total"), 1);
    assert_eq!(total(&metrics, "gochat_gateway_relay_hops_total"), 1);
    assert_eq!(total(&metrics, "gochat_gateway_local_hops_total"), 1);

    // The shard goes to the second gateway and back, with messages all the while.
    let mut next = 2;
    for home in [&second, &first] {
        let already = total(&metrics, "gochat_gateway_downstream_records_total");
        world.move_shard(0, &home.member).await;
        for _ in 0..50 {
            world.push(&[sender, receiver], next).await;
            next += 1;
        }
        until(|| total(&metrics, "gochat_gateway_downstream_records_total") >= already + 50).await;
    }
    for socket in [&mut sending, &mut receiving] {
        let mut got = std::collections::BTreeSet::new();
        while got.len() < 100 {
            // A move may deliver twice and may ask for a sync; it never loses and never closes.
            if let server_frame::Frame::Message(message) = socket.next().await {
                got.insert(message.seq);
            }
        }
        assert_eq!(got.into_iter().collect::<Vec<_>>(), (2..next).collect::<Vec<_>>());
        assert!(socket.is_alive().await);
    }
    assert_eq!(total(&metrics, "gochat_gateway_sync_required_total"), 0, "a planned move loses nothing");

    // Presence across gateways, and over a move.
    let watched = world.user_in(1, 0);
    let watch = WatchPresence { user_ids: vec![watched] };
    sending.send(client_frame::Frame::Presence(watch)).await;
    let is = |frame: server_frame::Frame, online: bool| {
        assert_eq!(
            frame,
            server_frame::Frame::Presence(gochat_proto::client::Presence { user_id: watched, online })
        );
    };
    is(sending.next().await, false);
    let there = second.login(watched).await;
    is(sending.next().await, true);
    drop(there);
    is(sending.next().await, false);

    // A gateway that stops sends its clients away, and its shards go on at the other.
    second.shutdown.begin();
    let (code, _) = receiving.closed().await;
    assert_eq!(code, 4000);
    drop(receiving);
    second.stopped.await.unwrap().unwrap();
    let mut back = first.login(receiver).await;
    world.push(&[receiver], next).await;
    assert_eq!(seq(&back.next().await), next);
    let odd = world.user_in(1, 1);
    let mut other = first.login(odd).await;
    world.push(&[odd], 1).await;
    assert_eq!(seq(&other.next().await), 1);
}
