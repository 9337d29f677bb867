//! Slow readers, dead homes, drains, and the HTTP side.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod support;

use std::time::Duration;

use gochat_gateway::openapi;
use gochat_proto::client::server_frame;
use gochat_proto::events::{Downstream, PushHint, Task, task};
use gochat_proto::ops::operations_client::OperationsClient;
use gochat_proto::ops::{DrainRequest, WatchLoadRequest};
use prost::Message as _;
use support::{World, message, seq};
use tokio::io::AsyncWriteExt as _;

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_holds_nobody_up() {
    let world = World::new().await;
    let [gateway] = world
        .gateways::<1>(|c| {
            c.limits.outbox_bytes = 16 * 1024;
            c.limits.outbox_full = Duration::from_millis(200);
            c.heartbeat_interval = Duration::from_mins(1);
        })
        .await;
    let (slow, other) = (world.user_in(0, 0), world.user_in(0, 1));
    // What the kernel takes for a client that does not read is megabytes.
    let mut stuck = support::mute(&gateway, slow).await;
    let began = std::time::Instant::now();
    let mut reads = gateway.login(other).await;
    let big =
        gochat_proto::types::Message { conversation_id: 5, text: "x".repeat(60_000), ..Default::default() };
    let big = gochat_proto::client::ServerFrame { frame: Some(server_frame::Frame::Message(big)) };
    let pong = support::client_message(0xa, &[]);
    let mut pushed = 0;
    // It lives and says so, until the server has had enough.
    while stuck.write_all(&pong).await.is_ok() {
        let frame = big.encode_to_vec().into();
        world.downstream(Downstream { recipients: vec![slow], frame, ..Downstream::default() }).await;
        pushed += 1;
        if pushed % 50 == 0 {
            world.push(&[other], pushed).await;
            assert_eq!(seq(&reads.next().await), pushed);
        }
        assert!(began.elapsed() < Duration::from_secs(20), "never closed");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(reads.is_alive().await);
}

#[tokio::test]
async fn recipients_without_a_session_become_one_push_record_without_the_sender() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|c| c.push_enabled = true).await;
    let users: Vec<u64> = (0..4).map(|n| world.user_in(3, n)).collect();
    let mut online = gateway.login(users[1]).await;
    let push = PushHint { conversation_id: 5, seq: 1, sender_id: users[0] };
    world
        .downstream(Downstream {
            recipients: users.clone(),
            frame: message(1).encode_to_vec().into(),
            push: Some(push),
            ..Downstream::default()
        })
        .await;
    assert_eq!(seq(&online.next().await), 1);
    let consumer = world.mq.consumer("test", &world.topics.task).unwrap();
    for partition in 0..4 {
        consumer.assign(partition).await.unwrap();
    }
    let record = consumer.poll(9).await.unwrap().remove(0);
    let Some(task::Task::Push(got)) = Task::decode(record.payload).unwrap().task else { panic!("no push") };
    assert_eq!(got.user_ids, users[2..]);
    assert_eq!(got.hint, Some(push));
}

#[tokio::test]
async fn load_is_reported_by_slot_and_a_drain_sends_clients_away_with_their_token() {
    let world = World::new().await;
    let [first, second] = world.gateways::<2>(|_| {}).await;
    let user = world.user_in(0, 0);
    let (mut socket, welcome) = first.login_as(user, 4, true).await;
    let members = world.coord.members(gochat_core::Workload::Gateway).borrow().clone();
    let address = members.iter().find(|m| m.id == first.member).unwrap().address.clone();
    let mut operations = OperationsClient::connect(address).await.unwrap();
    let mut reports = operations.watch_load(WatchLoadRequest::default()).await.unwrap().into_inner();
    let report = reports.message().await.unwrap().unwrap();
    assert_eq!((report.connections, report.slots.len(), report.draining), (1, 4, false));
    assert_eq!(report.slots.iter().map(|s| s.users).sum::<u64>(), 1);

    let mut progress = operations.drain(DrainRequest::default()).await.unwrap().into_inner();
    match socket.next().await {
        server_frame::Frame::GoingAway(going) => assert_eq!(going.resume_token, welcome.resume_token),
        other => panic!("{other:?}"),
    }
    assert_eq!(socket.closed().await.0, 4000);
    drop(socket);
    let mut last = None;
    while let Some(step) = progress.message().await.unwrap() {
        last = Some(step);
    }
    assert!(last.unwrap().done);
    // The user's shard is the other gateway's now.
    let mut back = second.login(user).await;
    world.push(&[user], 1).await;
    assert_eq!(seq(&back.next().await), 1);
    first.shutdown.begin();
    first.stopped.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_page_the_document_and_refusals_are_served() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|_| {}).await;
    let base = format!("http://{}", gateway.address);
    let page = get(&format!("{base}/"), None).await;
    assert_eq!(page.0, 200);
    assert!(page.1.contains("<!doctype html>") || page.1.contains("<!DOCTYPE html>"), "{}", page.1);
    let (status, document) = get(&format!("{base}/api/v1/openapi.json"), None).await;
    assert_eq!(status, 200);
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert!(document["paths"]["/api/v1/conversations/{id}/messages"]["get"].is_object());
    for (path, token, status, code) in [
        ("/api/v1/me", None, 401, "unauthenticated"),
        ("/api/v1/me", Some("refuse:token_expired"), 401, "token_expired"),
        ("/api/v1/nothing", None, 404, "bad_request"),
        ("/api/v1/login", None, 405, "bad_request"),
        ("/api/v1/conversations/x", Some("user:7:1"), 400, "bad_request"),
        ("/api/v1/users", Some("user:7:1"), 400, "bad_request"),
        // The stand-in for logic knows no conversations.
        ("/api/v1/conversations", Some("user:7:1"), 503, "unavailable"),
    ] {
        let (got, body) = get(&format!("{base}{path}"), token).await;
        let body: serde_json::Value =
            serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}"));
        assert_eq!((got, body["code"].as_str()), (status, Some(code)), "{path}");
        assert!(body["text"].is_string() && body["fix"].is_string());
    }
    assert_eq!(get(&format!("{base}/ws"), None).await.0, 426);
}

#[test]
fn every_path_of_the_document_has_answers_and_a_summary() {
    let document = serde_json::to_value(openapi::specification()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.values().flat_map(|path| path.as_object().unwrap().values());
    let operations: Vec<_> = operations.filter(|operation| operation["responses"].is_object()).collect();
    assert_eq!(operations.len(), 15);
    for operation in operations {
        assert!(operation["summary"].is_string(), "{operation}");
        assert!(operation["responses"]["4XX"].is_object(), "{operation}");
    }
}

async fn get(url: &str, token: Option<&str>) -> (u16, String) {
    let mut request = support::http().get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}
