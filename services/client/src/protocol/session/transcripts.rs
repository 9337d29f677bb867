//! Conversations between a session and a server, written down.

use std::collections::HashMap;
use std::time::Duration;

use gochat_proto::client::server_frame::Frame as Server;
use gochat_proto::client::{
    Accepted, Committed, ConversationChanged, GoingAway, ServerFrame, SyncRequired, Synced, Welcome,
    client_frame::Frame as Client,
};
use gochat_proto::types::Conversation;

use super::*;

const ME: u64 = 1;
const CHAT: u64 = 70;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn session() -> Session {
    Session::new(Settings {
        endpoints: 2,
        first_endpoint: 0,
        access_token: "access".into(),
        device: "test".into(),
        history: History::New,
        cursors: HashMap::new(),
        max_pending: 10,
        seed: 7,
    })
}

/// Everything the session wants done, in short.
fn actions(session: &mut Session) -> Vec<String> {
    std::iter::from_fn(|| session.next_action()).map(|a| short(&a)).collect()
}

fn short(action: &Action) -> String {
    match action {
        Action::Connect { endpoint } => format!("connect {endpoint}"),
        Action::Close { code } => format!("close {code}"),
        Action::Transmit(frame) => match frame.frame.as_ref().unwrap() {
            Client::Hello(h) => format!("> hello {}{}", h.access_token, h.resume_token),
            Client::Send(s) => format!("> send {} {}", s.client_msg_id, s.text),
            Client::Sync(s) if s.conversation_id == 0 => format!("> sync heads {:?}", s.page),
            Client::Sync(s) => format!("> sync {} after {:?}", s.conversation_id, s.after_seq.unwrap()),
            Client::Ping(_) => "> ping".into(),
            other => format!("> {other:?}"),
        },
        Action::Emit(event) => match event {
            Event::Connected { resumed, .. } => format!("connected resumed={resumed}"),
            Event::Disconnected { code, retry_in: Some(_) } => format!("disconnected {code:?}"),
            Event::Disconnected { code, retry_in: None } => format!("disconnected {code:?} for good"),
            Event::TokenNeeded { code } => format!("token needed: {code}"),
            Event::Message(m) => format!("message {} {}", m.seq, m.text),
            Event::Accepted { client_msg_id, .. } => format!("accepted {client_msg_id}"),
            Event::Committed(c) => format!("committed {} at {}", c.client_msg_id, c.seq),
            Event::Refused { client_msg_id, error, .. } => format!("refused {client_msg_id}: {}", error.code),
            Event::Hole { from, to, .. } => format!("hole {from}-{to}"),
            Event::Conversation(c) => format!("conversation {} to {}", c.conversation_id, c.last_seq),
            Event::ConversationChanged(_) => "conversation changed".into(),
            Event::CaughtUp => "caught up".into(),
            Event::Error(e) => format!("error {}", e.code),
            other => format!("{other:?}"),
        },
    }
}

fn receive(session: &mut Session, at: u64, frame: Server) -> Vec<String> {
    session.received(ms(at), ServerFrame { frame: Some(frame) });
    actions(session)
}

fn welcome(resumed: bool) -> Server {
    Server::Welcome(Welcome {
        user_id: ME,
        session_id: 2,
        resumed,
        resume_token: "resume".into(),
        heartbeat_interval_ms: 30_000,
        limits: None,
        sync_within_ms: 0,
    })
}

fn heads(request_id: u32, last_seq: u64) -> Server {
    let conversations = vec![Conversation { conversation_id: CHAT, last_seq, ..Conversation::default() }];
    Server::Synced(Synced { request_id, conversations, ..Synced::default() })
}

fn page(request_id: u32, seqs: std::ops::RangeInclusive<u64>, last_seq: u64) -> Server {
    let more = *seqs.end() < last_seq;
    let messages = seqs.map(text_of).collect();
    Server::Synced(Synced {
        request_id,
        conversation_id: CHAT,
        messages,
        more,
        last_seq,
        ..Synced::default()
    })
}

fn text_of(seq: u64) -> Message {
    Message { conversation_id: CHAT, seq, sender_id: 9, text: format!("t{seq}"), ..Message::default() }
}

fn push(seq: u64) -> Server {
    Server::Message(text_of(seq))
}

fn error(code: &str, client_msg_id: &str, retry_after_ms: u32) -> Server {
    Server::Error(Error {
        code: code.into(),
        client_msg_id: client_msg_id.into(),
        retry_after_ms,
        ..Error::default()
    })
}

/// Connected, caught up with `CHAT` at `last_seq`; its next request has id 2.
fn online(last_seq: u64) -> Session {
    let mut s = session();
    s.tick(ms(0));
    assert_eq!(actions(&mut s), ["connect 0"]);
    s.opened(ms(0));
    assert_eq!(actions(&mut s), ["> hello access"]);
    assert_eq!(receive(&mut s, 0, welcome(false)), ["connected resumed=false", "> sync heads \"\""]);
    let conversation = format!("conversation {CHAT} to {last_seq}");
    assert_eq!(receive(&mut s, 0, heads(1, last_seq)), [&conversation, "caught up"]);
    s
}

fn reconnect(s: &mut Session, at: u64) {
    s.tick(ms(at));
    assert!(matches!(actions(s).as_slice(), [connect] if connect.starts_with("connect")));
    s.opened(ms(at));
}

#[test]
fn a_reader_of_new_messages_starts_at_the_head() {
    let mut s = online(5);
    assert_eq!(receive(&mut s, 1, push(6)), ["message 6 t6"]);
    assert_eq!(receive(&mut s, 2, push(5)), [""; 0], "before us");
    assert_eq!(s.stats().duplicates, 1);
}

#[test]
fn a_gap_is_pulled_after_a_grace_and_closes_by_itself_before() {
    let mut s = online(5);
    assert_eq!(receive(&mut s, 100, push(7)), [""; 0]);
    assert_eq!(receive(&mut s, 110, push(6)), ["message 6 t6", "message 7 t7"]);
    s.tick(ms(500));
    assert_eq!(actions(&mut s), [""; 0], "the gap closed by itself");

    receive(&mut s, 1000, push(10));
    assert_eq!(s.deadline(ms(1000)), Some(ms(1050)));
    s.tick(ms(1050));
    assert_eq!(actions(&mut s), [format!("> sync {CHAT} after 7")]);
    assert_eq!(receive(&mut s, 1060, page(2, 8..=9, 9)), ["message 8 t8", "message 9 t9", "message 10 t10"]);
    assert_eq!(receive(&mut s, 1070, push(9)), [""; 0]);
}

#[test]
fn after_a_reconnect_everything_missed_is_pulled_page_by_page() {
    let mut s = online(5);
    s.closed(ms(100), None);
    assert_eq!(actions(&mut s), ["disconnected None"]);
    reconnect(&mut s, 10_000);
    assert_eq!(actions(&mut s), ["> hello resume"], "the login check is skipped");
    receive(&mut s, 10_000, welcome(true));
    assert_eq!(
        receive(&mut s, 10_001, heads(2, 8)),
        [format!("conversation {CHAT} to 8"), format!("> sync {CHAT} after 5")]
    );
    assert_eq!(
        receive(&mut s, 10_002, page(3, 6..=7, 8)),
        ["message 6 t6", "message 7 t7", &format!("> sync {CHAT} after 7")]
    );
    assert_eq!(receive(&mut s, 10_003, page(4, 8..=8, 8)), ["message 8 t8", "caught up"]);
}

#[test]
fn what_is_not_committed_is_sent_again_with_the_same_id() {
    let mut s = online(5);
    for text in ["a", "b", "c"] {
        s.send(ms(1), CHAT, text.into()).unwrap();
    }
    assert_eq!(actions(&mut s), ["> send 7-1 a", "> send 7-2 b", "> send 7-3 c"]);
    for id in ["7-1", "7-2"] {
        let accepted = Accepted { conversation_id: CHAT, client_msg_id: id.into() };
        assert_eq!(receive(&mut s, 2, Server::Accepted(accepted)), [format!("accepted {id}")]);
    }
    let committed =
        Committed { conversation_id: CHAT, client_msg_id: "7-1".into(), seq: 6, ..Committed::default() };
    assert_eq!(receive(&mut s, 3, Server::Committed(committed)), ["committed 7-1 at 6", "message 6 a"]);

    s.closed(ms(100), Some(1001));
    actions(&mut s);
    reconnect(&mut s, 10_000);
    actions(&mut s);
    assert_eq!(
        receive(&mut s, 10_000, welcome(true)),
        ["connected resumed=true", "> send 7-2 b", "> send 7-3 c", "> sync heads \"\""]
    );
    // b was stored before: history says so first, its replayed commit second.
    receive(&mut s, 10_001, heads(2, 7));
    let mut b = text_of(7);
    (b.sender_id, b.client_msg_id, b.text) = (ME, "7-2".into(), "b".into());
    let answer = Synced { request_id: 3, messages: vec![b], last_seq: 7, ..Synced::default() };
    assert_eq!(
        receive(&mut s, 10_002, Server::Synced(answer)),
        ["committed 7-2 at 7", "message 7 b", "caught up"]
    );
    let replayed =
        Committed { conversation_id: CHAT, client_msg_id: "7-2".into(), seq: 7, ..Committed::default() };
    assert_eq!(receive(&mut s, 10_003, Server::Committed(replayed)), [""; 0]);
    assert_eq!(s.stats().resends, 2);
}

#[test]
fn a_refusal_ends_a_send_and_a_busy_server_delays_it() {
    let mut s = online(5);
    s.send(ms(0), CHAT, "a".into()).unwrap();
    s.send(ms(0), CHAT, "b".into()).unwrap();
    actions(&mut s);
    assert_eq!(receive(&mut s, 1, error("not_a_member", "7-1", 0)), ["refused 7-1: not_a_member"]);
    assert_eq!(receive(&mut s, 1, error("overloaded", "7-2", 400)), [""; 0]);
    s.tick(ms(400));
    assert_eq!(actions(&mut s), [""; 0], "not before 401 ms");
    s.tick(ms(601));
    assert_eq!(actions(&mut s), ["> send 7-2 b"]);
}

#[test]
fn going_away_is_followed_within_its_time_to_the_next_endpoint() {
    let mut s = online(5);
    let going = GoingAway { retry_after_ms: 60_000, resume_token: "resume-2".into() };
    assert_eq!(receive(&mut s, 1, Server::GoingAway(going)), [""; 0]);
    s.closed(ms(10), Some(4000));
    let Some(Action::Emit(Event::Disconnected { retry_in: Some(wait), .. })) = s.next_action() else {
        panic!()
    };
    assert!(wait <= ms(60_000) && wait > ms(1_000), "{wait:?} of the 60 s for this seed");
    s.tick(ms(10) + wait);
    assert_eq!(actions(&mut s), ["connect 1"]);
    s.opened(ms(10) + wait);
    assert_eq!(actions(&mut s), ["> hello resume-2"]);
}

#[test]
fn a_refused_resume_token_is_followed_by_the_access_token_then_by_a_question() {
    let mut s = online(5);
    s.closed(ms(1), Some(4004));
    assert_eq!(actions(&mut s), ["disconnected Some(4004)"]);
    reconnect(&mut s, 10_000);
    assert_eq!(actions(&mut s), ["> hello resume"]);
    receive(&mut s, 10_000, error("token_expired", "", 0));
    s.closed(ms(10_000), Some(4004));
    actions(&mut s);
    reconnect(&mut s, 30_000);
    assert_eq!(actions(&mut s), ["> hello access"]);
    receive(&mut s, 30_000, error("token_expired", "", 0));
    s.closed(ms(30_000), Some(4004));
    assert_eq!(actions(&mut s), ["disconnected Some(4004) for good", "token needed: token_expired"]);
    assert_eq!(s.deadline(ms(30_000)), None);
    s.set_token(ms(40_000), "fresh".into());
    actions(&mut s);
    s.opened(ms(40_000));
    assert_eq!(actions(&mut s), ["> hello fresh"]);
}

#[test]
fn a_token_that_ends_while_we_are_online_costs_a_reconnect_and_no_question() {
    let mut s = online(5);
    assert_eq!(receive(&mut s, 900_000, error("token_expired", "", 0)), [""; 0]);
    s.closed(ms(900_001), Some(4004));
    assert_eq!(actions(&mut s), ["disconnected Some(4004)"]);
    assert!(s.deadline(ms(900_001)).unwrap() <= ms(900_201), "soon");
    reconnect(&mut s, 900_201);
    assert_eq!(actions(&mut s), ["> hello resume"]);
}

#[test]
fn a_revoked_session_asks_for_a_login_and_nothing_else() {
    let mut s = online(5);
    assert_eq!(receive(&mut s, 1, error("session_revoked", "", 0)), ["error session_revoked"]);
    s.closed(ms(2), Some(4003));
    assert_eq!(actions(&mut s), ["disconnected Some(4003) for good", "token needed: session_revoked"]);
    s.tick(ms(100_000));
    s.reconnect(ms(100_000));
    assert_eq!(actions(&mut s), [""; 0]);
}

#[test]
fn a_silent_server_is_pinged_then_left() {
    let mut s = online(5);
    assert_eq!(s.deadline(ms(0)), Some(ms(30_000)));
    s.tick(ms(30_000));
    assert_eq!(actions(&mut s), ["> ping"]);
    assert_eq!(s.deadline(ms(30_000)), Some(ms(60_000)));
    s.tick(ms(60_000));
    assert_eq!(actions(&mut s), ["close 4009", "disconnected None"]);
}

/// Its machine lost its network, say: no connection is closed, and a heartbeat would take a minute to tell.
#[test]
fn a_server_that_answers_no_message_is_pinged_and_left_soon() {
    let mut s = online(5);
    s.send(ms(1000), CHAT, "a".into()).unwrap();
    assert_eq!(actions(&mut s), ["> send 7-1 a"]);
    assert_eq!(s.deadline(ms(1000)), Some(ms(6000)));
    s.tick(ms(6000));
    assert_eq!(actions(&mut s), ["> ping"]);
    assert_eq!(s.deadline(ms(6000)), Some(ms(11_000)));
    s.tick(ms(11_000));
    assert_eq!(actions(&mut s), ["close 4009", "disconnected None"]);
}

/// It is there, and what it works with is not: connecting again would help nobody.
#[test]
fn a_server_that_answers_pings_only_is_not_left() {
    let mut s = online(5);
    s.send(ms(1000), CHAT, "a".into()).unwrap();
    actions(&mut s);
    for at in (6000..11_000).step_by(1000) {
        s.tick(ms(at));
        s.heard(ms(at + 100));
        assert!(actions(&mut s).iter().all(|action| action == "> ping"));
    }
}

#[test]
fn a_hanging_connect_is_given_up() {
    let mut s = session();
    s.tick(ms(0));
    actions(&mut s);
    s.tick(ms(10_000));
    assert_eq!(actions(&mut s), ["close 4001", "disconnected None"]);
}

#[test]
fn among_many_that_come_back_a_client_syncs_within_its_time() {
    let mut s = session();
    s.tick(ms(0));
    s.opened(ms(0));
    actions(&mut s);
    let welcome = Welcome { user_id: ME, sync_within_ms: 2_000, ..Welcome::default() };
    assert_eq!(receive(&mut s, 0, Server::Welcome(welcome)), ["connected resumed=false"]);
    let due = s.deadline(ms(0)).unwrap();
    assert!(due <= ms(2_000), "{due:?}");
    s.tick(due);
    assert_eq!(actions(&mut s), ["> sync heads \"\""]);
}

#[test]
fn a_notice_to_sync_is_obeyed_within_its_time() {
    let mut s = online(5);
    let notice = SyncRequired { within_ms: 2000, reason: "late".into() };
    receive(&mut s, 0, Server::SyncRequired(notice));
    let due = s.deadline(ms(0)).unwrap();
    assert!(due <= ms(2000), "{due:?}");
    s.tick(due);
    assert_eq!(actions(&mut s), ["> sync heads \"\""]);
}

#[test]
fn a_new_conversation_is_read_from_its_first_message() {
    let mut s = online(5);
    let changed = ConversationChanged { conversation_id: 71, removed: false };
    assert_eq!(
        receive(&mut s, 1, Server::ConversationChanged(changed)),
        ["conversation changed", "> sync 71 after 0"]
    );
    let mut first = text_of(1);
    first.conversation_id = 71;
    let answer = Synced { request_id: 2, messages: vec![first], last_seq: 1, ..Synced::default() };
    assert_eq!(receive(&mut s, 2, Server::Synced(answer)), ["message 1 t1"]);
}

#[test]
fn a_refused_sync_is_asked_again_later() {
    let mut s = online(5);
    s.sync(ms(2));
    let refused = Error { code: "overloaded".into(), request_id: 2, retry_after_ms: 100, ..Error::default() };
    receive(&mut s, 3, Server::Error(refused));
    let due = s.deadline(ms(3)).unwrap();
    assert!(due <= ms(153), "{due:?}");
}

#[test]
fn a_text_that_the_server_would_close_for_is_refused_here() {
    let mut s = session();
    s.tick(ms(0));
    s.opened(ms(0));
    let limits = Some(Limits { max_text_bytes: 3, ..Limits::default() });
    receive(&mut s, 0, Server::Welcome(Welcome { limits, ..Welcome::default() }));
    s.send(ms(1), CHAT, "four".into()).unwrap();
    s.send(ms(1), CHAT, "abc".into()).unwrap();
    assert_eq!(actions(&mut s), ["refused 7-1: text_too_large", "> send 7-2 abc"]);
    assert!(!s.is_outbox_empty());
}
