//! What a client is allowed, and what it is told where it isn't. One gateway; each test has its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod support;

use std::time::{Duration, Instant};

use gochat_proto::client::{Hello, Send, Sync, client_frame, server_frame};
use gochat_proto::events::{Downstream, RevokeSession};
use prost::Message as _;
use support::{World, seq, until};
use tokio_tungstenite::tungstenite::Message;

fn hello(access_token: &str) -> client_frame::Frame {
    client_frame::Frame::Hello(Hello { access_token: access_token.into(), ..Hello::default() })
}

fn send(text: &str, id: &str) -> client_frame::Frame {
    client_frame::Frame::Send(Send { conversation_id: 5, client_msg_id: id.into(), text: text.into() })
}

fn error_code(frame: server_frame::Frame) -> String {
    match frame {
        server_frame::Frame::Error(error) => error.code,
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_hello_that_is_not_good_enough_gets_its_code_and_close() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|_| {}).await;
    for (frame, close, code) in [
        (hello("nonsense"), 4001, "unauthenticated"),
        (hello(""), 4001, "unauthenticated"),
        (hello("refuse:token_invalid"), 4001, "token_invalid"),
        (hello("refuse:session_revoked"), 4003, "session_revoked"),
        (hello("refuse:token_expired"), 4004, "token_expired"),
        (send("hi", "m1"), 4001, "hello_required"),
    ] {
        let mut socket = gateway.connect(true).await;
        socket.send(frame).await;
        assert_eq!(socket.closed().await, (close, Some(code.to_owned())));
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|c| c.limits.hello_timeout = Duration::from_millis(50)).await;
    let mut socket = gateway.connect(false).await;
    assert_eq!(socket.closed().await, (4001, Some("hello_timeout".to_owned())));
}

#[tokio::test]
async fn a_resume_token_is_taken_for_a_login() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|_| {}).await;
    let (_, welcome) = gateway.login_as(7, 3, true).await;
    assert!(!welcome.resumed);
    assert_eq!((welcome.user_id, welcome.session_id), (7, 3));
    let mut socket = gateway.connect(true).await;
    let resume_token = welcome.resume_token;
    socket.send(client_frame::Frame::Hello(Hello { resume_token, ..Hello::default() })).await;
    match socket.next().await {
        server_frame::Frame::Welcome(again) => assert!(again.resumed && again.session_id == 3),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bad_frame_gets_its_code_and_touches_nobody_else() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|c| c.limits.frame_bytes = 4096).await;
    let mut bystander = gateway.login(7).await;
    for (json, bad, close, code) in [
        (true, Message::text("{"), 4002, "bad_frame"),
        (true, Message::binary(vec![1]), 4002, "bad_frame"),
        (false, Message::binary(vec![0xff; 9]), 4002, "bad_frame"),
        (false, Message::text("{}"), 4002, "bad_frame"),
        (true, Message::text("x".repeat(4097)), 1009, "frame_too_large"),
    ] {
        let (mut socket, _) = gateway.login_as(7, 1, json).await;
        socket.raw(bad).await;
        assert_eq!(socket.closed().await, (close, Some(code.to_owned())));
    }
    assert!(bystander.is_alive().await);
}

#[tokio::test]
async fn a_frame_that_is_refused_leaves_the_connection_open() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|c| c.limits.text_bytes = 10).await;
    let (mut socket, _) = gateway.login_as(7, 1, true).await;
    for (frame, code) in [
        (send("12345678901", "m1"), "text_too_large"),
        (send("", "m1"), "bad_request"),
        (send("hi", ""), "bad_client_msg_id"),
        (send("hi", "ümläut"), "bad_client_msg_id"),
        (send("hi", &"x".repeat(37)), "bad_client_msg_id"),
        (
            client_frame::Frame::Send(Send {
                text: "hi".into(),
                client_msg_id: "m".into(),
                ..Send::default()
            }),
            "bad_request",
        ),
        (client_frame::Frame::Sync(Sync { limit: 501, ..Sync::default() }), "sync_too_large"),
        (
            client_frame::Frame::Sync(Sync { after_seq: Some(1), before_seq: Some(3), ..Sync::default() }),
            "bad_request",
        ),
        (hello("user:7:1"), "bad_request"),
    ] {
        socket.send(frame).await;
        assert_eq!(error_code(socket.next().await), code);
    }
    socket.raw(Message::text(r#"{"dance":{}}"#)).await;
    assert_eq!(error_code(socket.next().await), "unknown_frame");
    assert!(socket.is_alive().await);
}

#[tokio::test]
async fn an_error_names_what_it_is_about() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|_| {}).await;
    let mut socket = gateway.login(7).await;
    // The stand-in for logic has no history: what is asked of it is unavailable.
    socket
        .send(client_frame::Frame::Sync(Sync { request_id: 9, conversation_id: 5, ..Sync::default() }))
        .await;
    match socket.next().await {
        server_frame::Frame::Error(error) => {
            assert_eq!((error.code.as_str(), error.request_id, error.conversation_id), ("unavailable", 9, 5));
            assert!(error.retry_after_ms > 0);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn ten_times_the_rate_is_refused_and_for_long_it_is_closed() {
    let world = World::new().await;
    let [gateway] = world
        .gateways::<1>(|c| {
            c.limits.messages_per_second = 1;
            c.limits.burst_seconds = 5;
            c.limits.rate_refusals = 20;
        })
        .await;
    let mut bystander = gateway.login(7).await;
    let mut socket = gateway.login(8).await;
    for i in 0..5 {
        socket.send(send("hi", &format!("m{i}"))).await;
        assert!(matches!(socket.next().await, server_frame::Frame::Accepted(_)), "the burst is allowed");
    }
    for i in 5..40 {
        socket.send(send("hi", &format!("m{i}"))).await;
    }
    let (mut accepted, mut refused) = (0, 0);
    let code = loop {
        match socket.event().await {
            Ok(server_frame::Frame::Accepted(_)) => accepted += 1,
            Ok(server_frame::Frame::Error(error)) => {
                assert_eq!(error.code, "rate_limited");
                assert!(error.retry_after_ms > 0);
                refused += 1;
            }
            Ok(other) => panic!("{other:?}"),
            Err(code) => break code,
        }
    };
    assert_eq!(code, 4029);
    assert!(accepted <= 5 && refused >= 20, "{accepted} accepted, {refused} refused");
    assert!(bystander.is_alive().await);
}

#[tokio::test]
async fn one_connection_too_many_is_refused_and_the_others_stay() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|c| c.limits.connections_per_user = 2).await;
    let (mut one, mut two) = (gateway.login(7).await, gateway.login(7).await);
    let mut three = gateway.connect(true).await;
    three.send(hello("user:7:1")).await;
    assert_eq!(three.closed().await, (4010, Some("too_many_connections".to_owned())));
    assert!(one.is_alive().await && two.is_alive().await);
}

#[tokio::test]
async fn clients_that_come_at_once_are_few_questions_to_logic_and_each_gets_its_own_answer() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|_| {}).await;
    let clients = (1..=200).map(async |user| {
        let mut socket = gateway.connect(false).await;
        // One in ten comes with a token that is none.
        let bad = user % 10 == 0;
        let token = if bad { "refuse:token_expired".to_owned() } else { format!("user:{user}:1") };
        socket.send(hello(&token)).await;
        match socket.next().await {
            server_frame::Frame::Welcome(welcome) => assert!(!bad && welcome.user_id == user),
            server_frame::Frame::Error(error) => assert!(bad && error.code == "token_expired", "{error:?}"),
            other => panic!("{other:?}"),
        }
    });
    futures::future::join_all(clients).await;
    let calls = world.token_calls();
    assert!((1..100).contains(&calls), "{calls} calls");
}

#[tokio::test]
async fn a_question_that_logic_leaves_unanswered_keeps_nobody_else_waiting() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|c| c.call_timeout = Duration::from_mins(1)).await;
    let mut waiting = Vec::new();
    for asked in 1..=20 {
        let mut socket = gateway.connect(false).await;
        socket.send(hello("hang")).await;
        waiting.push(socket);
        until(|| world.token_calls() == asked).await;
    }
    gateway.login(7).await;
}

#[tokio::test]
async fn all_devices_of_a_user_get_a_message_each_in_its_codec() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|_| {}).await;
    let mut proto = gateway.login(7).await;
    let (mut json, _) = gateway.login_as(7, 2, true).await;
    world.push(&[7], 1).await;
    assert_eq!((seq(&proto.next().await), seq(&json.next().await)), (1, 1));
}

#[tokio::test]
async fn a_frame_far_longer_than_any_buffer_arrives_whole() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|_| {}).await;
    let long = gochat_proto::types::Message { text: "äöü€".repeat(15_000), ..Default::default() };
    let frame = server_frame::Frame::Message(long);
    let encoded = gochat_proto::client::ServerFrame { frame: Some(frame.clone()) }.encode_to_vec();
    for json in [false, true] {
        let (mut socket, _) = gateway.login_as(7, 1, json).await;
        let record =
            Downstream { recipients: vec![7], frame: encoded.clone().into(), ..Downstream::default() };
        world.downstream(record).await;
        assert_eq!(socket.next().await, frame);
        assert!(socket.is_alive().await);
    }
}

#[tokio::test]
async fn a_revoked_session_is_closed_and_the_users_other_sessions_stay() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|_| {}).await;
    let (mut gone, _) = gateway.login_as(7, 1, false).await;
    let (mut stays, _) = gateway.login_as(7, 2, false).await;
    let revoke = Some(RevokeSession { user_id: 7, session_id: 1 });
    world.downstream(Downstream { revoke, ..Downstream::default() }).await;
    assert_eq!(gone.closed().await, (4003, Some("session_revoked".to_owned())));
    assert!(stays.is_alive().await);
}

#[tokio::test]
async fn a_socket_is_closed_when_the_token_of_its_hello_ends_and_the_resume_token_brings_it_back() {
    let world = World::new().await;
    let interval = Duration::from_millis(400);
    let [gateway] = world.gateways::<1>(|c| c.heartbeat_interval = interval).await;
    for json in [true, false] {
        let began = Instant::now();
        let (mut socket, welcome) = gateway.login_with("user:7:1:500".into(), json).await;
        assert_eq!(socket.closed().await, (4004, Some("token_expired".to_owned())));
        // The gateway counts whole milliseconds, so the end comes up to one early.
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(499), "not before its end: {took:?}");
        let mut back = gateway.connect(json).await;
        let hello = Hello { resume_token: welcome.resume_token, ..Hello::default() };
        back.send(client_frame::Frame::Hello(hello)).await;
        assert!(matches!(back.next().await, server_frame::Frame::Welcome(w) if w.resumed));
        assert!(back.is_alive().await);
    }
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_closed_and_one_that_does_stays() {
    let world = World::new().await;
    let interval = Duration::from_millis(400);
    let [gateway] = world.gateways::<1>(|c| c.heartbeat_interval = interval).await;
    let mut lives = gateway.login(7).await;
    // A socket whose client never answers: no WebSocket library is behind it.
    let dead = support::mute(&gateway, 8).await;
    let closed = support::end_of(dead);
    tokio::pin!(closed);
    let heard = loop {
        tokio::select! {
            heard = &mut closed => break heard,
            alive = lives.is_alive() => assert!(alive),
        }
    };
    // It was pinged both ways, and told why it is closed: a close frame with 4009.
    let has = |bytes: &[u8]| heard.windows(bytes.len()).any(|w| w == bytes);
    assert!(has(br#"{"ping":{}}"#) && has(&[0x89, 0]), "{heard:?}");
    assert!(has(&4009u16.to_be_bytes()) && has(b"heartbeat_timeout"), "{heard:?}");
    assert!(lives.is_alive().await);
}
