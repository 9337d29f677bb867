//! What a client does wrong gets its documented code, and touches nobody else.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gochat_e2e::{Cluster, Encoding, SECRET, Size, Socket, User};
use gochat_engines::{Engine, missing};
use gochat_proto::client::{Sync, client_frame::Frame as Up, server_frame::Frame as Down};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio_tungstenite::tungstenite::Message;

async fn cluster() -> Result<&'static Cluster> {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    let more = json!({ "gateway": {
        "limits": { "frame_bytes": 32768, "rate_refusals": 200, "outbox_bytes": 32768, "outbox_full": "1s", "hello_timeout": "2s" },
    } });
    CLUSTER.get_or_try_init(|| Cluster::start_with("bad-input", Size::default(), &more)).await
}

/// Two people at the offender's gateway whose chat has to go on undisturbed, on the same sockets.
struct Bystanders {
    chat: u64,
    alice: Socket,
    bob: Socket,
}

impl Bystanders {
    async fn new(gateway: &str) -> Result<Self> {
        let (alice, bob) =
            (User::register(gateway, "bystander").await?, User::register(gateway, "bystander").await?);
        let chat = alice.direct_chat(&bob).await?;
        let alice = Socket::open(gateway, &alice, Encoding::Proto).await?;
        let bob = Socket::open(gateway, &bob, Encoding::Json).await?;
        Ok(Self { chat, alice, bob })
    }

    async fn are_untouched(mut self) -> Result<()> {
        self.alice.say(self.chat, "still-here", "still here").await?;
        let (_, text) = self.bob.message(self.chat).await?;
        ensure!(text == "still here", "bystanders got {text:?}");
        Ok(())
    }
}

/// The gateway of these tests, somebody at it who does something wrong, and bystanders.
async fn scene() -> Result<(String, User, Bystanders)> {
    let gateway = cluster().await?.gateway(0)?;
    let offender = User::register(&gateway, "offender").await?;
    let bystanders = Bystanders::new(&gateway).await?;
    Ok((gateway, offender, bystanders))
}

macro_rules! needs_engines {
    ($test:literal) => {
        if missing($test, &Engine::ALL) {
            return Ok(());
        }
    };
}

#[tokio::test]
async fn an_oversized_frame_closes_with_1009() -> Result<()> {
    needs_engines!("an_oversized_frame_closes_with_1009");
    let (gateway, offender, bystanders) = scene().await?;
    for encoding in [Encoding::Json, Encoding::Proto] {
        let mut socket = Socket::open(&gateway, &offender, encoding).await?;
        let welcomed_limit = 32 * 1024;
        let frame = match encoding {
            Encoding::Json => Message::text("x".repeat(welcomed_limit + 1)),
            Encoding::Proto => Message::binary(vec![b'x'; welcomed_limit + 1]),
        };
        socket.send_raw(frame).await?;
        assert_eq!(socket.closed().await?.0, 1009);
    }
    bystanders.are_untouched().await
}

#[tokio::test]
async fn a_text_that_is_too_long_is_refused_and_the_connection_lives() -> Result<()> {
    needs_engines!("a_text_that_is_too_long_is_refused_and_the_connection_lives");
    let (gateway, offender, bystanders) = scene().await?;
    let peer = User::register(&gateway, "peer").await?;
    let chat = offender.direct_chat(&peer).await?;
    let mut socket = Socket::open(&gateway, &offender, Encoding::Proto).await?;
    socket.say(chat, "long", &"x".repeat(17 * 1024)).await?;
    let error = socket.error().await?;
    assert_eq!((error.code.as_str(), error.client_msg_id.as_str()), ("text_too_large", "long"));
    socket.say(chat, "short", "x").await?;
    assert_eq!(socket.committed("short").await?, 1);
    bystanders.are_untouched().await
}

#[tokio::test]
async fn what_is_no_frame_is_a_bad_frame() -> Result<()> {
    needs_engines!("what_is_no_frame_is_a_bad_frame");
    let (gateway, offender, bystanders) = scene().await?;
    let garbage = [
        (Encoding::Json, Message::text("{\"send\":")),
        (Encoding::Json, Message::text("{\"send\": {\"conversationId\": \"twelve\"}}")),
        (Encoding::Json, Message::binary(vec![0xff; 20])),
        (Encoding::Proto, Message::binary(vec![0xff; 20])),
        (Encoding::Proto, Message::text("{}")),
    ];
    for (encoding, message) in garbage {
        let mut socket = Socket::open(&gateway, &offender, encoding).await?;
        let what = format!("{encoding:?} {message:?}");
        socket.send_raw(message).await?;
        let (code, error) = socket.closed().await.with_context(|| what.clone())?;
        assert_eq!((code, error.map(|e| e.code)), (4002, Some("bad_frame".to_owned())), "{what}");
    }
    bystanders.are_untouched().await
}

#[tokio::test]
async fn a_frame_of_an_unknown_kind_is_refused_and_the_connection_lives() -> Result<()> {
    needs_engines!("a_frame_of_an_unknown_kind_is_refused_and_the_connection_lives");
    let (gateway, offender, bystanders) = scene().await?;
    // Field 99, length-delimited, empty: what a newer client's frame would look like.
    let unknown = [
        (Encoding::Json, Message::text("{\"dance\": {}}")),
        (Encoding::Proto, Message::binary(vec![0x9a, 0x06, 0])),
    ];
    for (encoding, message) in unknown {
        let mut socket = Socket::open(&gateway, &offender, encoding).await?;
        socket.send_raw(message).await?;
        assert_eq!(socket.error().await?.code, "unknown_frame");
        socket.send(Up::Ping(gochat_proto::client::Ping { nonce: 7 })).await?;
        let pong =
            socket.until(|frame| if let Down::Pong(pong) = frame { Some(pong.nonce) } else { None }).await?;
        assert_eq!(pong, 7);
    }
    bystanders.are_untouched().await
}

#[tokio::test]
async fn before_hello_nothing_is_taken_and_silence_is_not_borne() -> Result<()> {
    needs_engines!("before_hello_nothing_is_taken_and_silence_is_not_borne");
    let (gateway, _, bystanders) = scene().await?;
    let mut early = Socket::connect(&gateway, Encoding::Json).await?;
    early.say(1, "early", "early").await?;
    let (code, error) = early.closed().await?;
    assert_eq!((code, error.map(|e| e.code)), (4001, Some("hello_required".to_owned())));
    let mut silent = Socket::connect(&gateway, Encoding::Json).await?;
    let (code, error) = silent.closed().await?;
    assert_eq!((code, error.map(|e| e.code)), (4001, Some("hello_timeout".to_owned())));
    bystanders.are_untouched().await
}

/// The token with changed claims, signed with a key.
fn signed(token: &str, key: &str, change: impl FnOnce(&mut Value)) -> Result<String> {
    let mut parts = token.split('.');
    let mut part = || -> Result<Value> {
        Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.next().context("a part of a JWT")?)?)?)
    };
    let (header, mut claims) = (part()?, part()?);
    change(&mut claims);
    let header: jsonwebtoken::Header = serde_json::from_value(header)?;
    Ok(jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_secret(key.as_bytes()))?)
}

#[tokio::test]
async fn an_expired_a_forged_and_a_senseless_token_are_told_apart() -> Result<()> {
    needs_engines!("an_expired_a_forged_and_a_senseless_token_are_told_apart");
    let (gateway, offender, bystanders) = scene().await?;
    let unchanged = signed(&offender.access_token, SECRET, |_| {})?;
    let mut socket = Socket::connect(&gateway, Encoding::Json).await?;
    socket.hello(&unchanged).await?;
    socket.welcome().await.context("this test signs as the server does")?;

    let expired = signed(&offender.access_token, SECRET, |claims| claims["exp"] = json!(1_000_000_000))?;
    let forged = signed(&offender.access_token, "another-key-of-more-than-thirty-two-bytes", |_| {})?;
    let cases = [
        (expired, 4004, "token_expired"),
        (forged, 4001, "token_invalid"),
        ("not.a.token".to_owned(), 4001, "token_invalid"),
    ];
    for (token, close, code) in cases {
        let mut socket = Socket::connect(&gateway, Encoding::Json).await?;
        socket.hello(&token).await?;
        let (closed, error) = socket.closed().await?;
        assert_eq!((closed, error.map(|e| e.code)), (close, Some(code.to_owned())));
    }
    bystanders.are_untouched().await
}

#[tokio::test]
async fn a_revoked_session_is_closed_everywhere_and_never_opened_again() -> Result<()> {
    needs_engines!("a_revoked_session_is_closed_everywhere_and_never_opened_again");
    let (gateway, offender, bystanders) = scene().await?;
    let other = cluster().await?.gateway(1)?;
    let mut open = Socket::open(&other, &offender, Encoding::Proto).await?;
    offender.api.logout().await?;
    let (code, error) = open.closed().await?;
    assert_eq!((code, error.map(|e| e.code)), (4003, Some("session_revoked".to_owned())));
    for gateway in [gateway, other] {
        let mut again = Socket::connect(&gateway, Encoding::Proto).await?;
        again.hello(&offender.access_token).await?;
        let (code, error) = again.closed().await?;
        assert_eq!((code, error.map(|e| e.code)), (4003, Some("session_revoked".to_owned())), "{gateway}");
    }
    bystanders.are_untouched().await
}

#[tokio::test]
async fn a_foreign_conversation_can_be_neither_written_nor_read() -> Result<()> {
    needs_engines!("a_foreign_conversation_can_be_neither_written_nor_read");
    let (gateway, offender, mut bystanders) = scene().await?;
    bystanders.alice.say(bystanders.chat, "secret", "a secret").await?;
    bystanders.bob.message(bystanders.chat).await?;
    let mut socket = Socket::open(&gateway, &offender, Encoding::Proto).await?;
    socket.say(bystanders.chat, "intrusion", "let me in").await?;
    let error = socket.error().await?;
    assert_eq!((error.code.as_str(), error.client_msg_id.as_str()), ("not_a_member", "intrusion"));
    let sync = Sync {
        request_id: 9,
        conversation_id: bystanders.chat,
        after_seq: Some(0),
        limit: 10,
        ..Sync::default()
    };
    socket.send(Up::Sync(sync)).await?;
    let error = socket.error().await?;
    assert_eq!((error.code.as_str(), error.request_id), ("not_a_member", 9));
    let refused =
        offender.api.messages_after(bystanders.chat, 0, 10).await.expect_err("the history of others");
    assert_eq!(refused.code(), Some("not_a_member"));
    socket.say(bystanders.chat + 1, "nowhere", "hello?").await?;
    let error = socket.error().await?;
    assert_eq!(error.client_msg_id, "nowhere");
    assert!(["not_a_member", "no_such_conversation"].contains(&error.code.as_str()), "{error:?}");
    bystanders.are_untouched().await
}

#[tokio::test]
async fn ten_times_the_rate_is_refused_then_closed() -> Result<()> {
    needs_engines!("ten_times_the_rate_is_refused_then_closed");
    let (gateway, offender, bystanders) = scene().await?;
    let peer = User::register(&gateway, "peer").await?;
    let chat = offender.direct_chat(&peer).await?;
    let mut socket = Socket::open(&gateway, &offender, Encoding::Proto).await?;
    // All at once is more than ten times the rate, whatever the clock does.
    for number in 0..600 {
        if socket.say(chat, &format!("flood-{number}"), "flood").await.is_err() {
            break; // Closed meanwhile: what it said stands below.
        }
    }
    let mut refused = 0;
    let closed = loop {
        match socket.until(|frame| if let Down::Error(error) = frame { Some(error) } else { None }).await {
            Ok(error) if error.code == "rate_limited" => {
                assert!(error.retry_after_ms > 0, "{error:?}");
                refused += 1;
            }
            Ok(error) => anyhow::bail!("refused by {error:?}"),
            Err(closed) => break closed,
        }
    };
    ensure!(closed.to_string().contains("4029"), "{closed:#}");
    ensure!(refused >= 200, "closed after {refused} refusals");
    bystanders.are_untouched().await
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_closed_as_slow_and_delays_nobody() -> Result<()> {
    needs_engines!("a_reader_that_does_not_read_is_closed_as_slow_and_delays_nobody");
    let (gateway, slow, bystanders) = scene().await?;
    let (sender, quick) =
        (User::register(&gateway, "sender").await?, User::register(&gateway, "quick").await?);
    let group = sender.group("everybody", &[&slow, &quick]).await?;
    let metrics = async || cluster().await?.of(gochat_core::Workload::Gateway)[0].metrics().await;
    let closes =
        async || anyhow::Ok(metrics().await?.sum("gochat_gateway_closes_total", "code=\"slow_consumer\""));

    let mut reads_nothing = Socket::open_with_small_buffers(&gateway, &slow).await?;
    let mut at_quick = Socket::open(&gateway, &quick, Encoding::Proto).await?;
    let mut at_sender = Socket::open(&gateway, &sender, Encoding::Proto).await?;
    // The kernel buffers about 4 MB for a reader before the gateway sees it stand still.
    let text = "x".repeat(16 * 1024);
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    let mut seq = 0;
    while closes().await? < 1.0 {
        ensure!(tokio::time::Instant::now() < deadline, "not closed after {seq} messages of 16 KiB");
        seq += 1;
        let committed = at_sender.say_within_the_rate(group, &format!("part-{seq}"), &text).await?;
        ensure!(committed == seq, "message {seq} was committed as {committed}");
        ensure!(at_quick.message(group).await?.0 == seq, "the quick reader misses message {seq}");
    }
    // What had been on its way is still read; then the close, where it got through.
    let end = reads_nothing.closed().await;
    ensure!(end.as_ref().map_or(true, |(code, _)| *code == 4008), "{end:?}");
    bystanders.are_untouched().await
}
