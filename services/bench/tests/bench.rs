//! The whole bench against a server of a page that can be told to lose things.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's own server; clippy.toml frees only what is in test functions"
)]

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use axum::extract::ws::{Message as Ws, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::{any, post};
use axum::{Json, Router};
use clap::Parser;
use gochat_bench::Args;
use gochat_proto::client::server_frame::Frame as Server;
use gochat_proto::client::{
    Accepted, ClientFrame, Committed, Pong, ServerFrame, Synced, Welcome, client_frame::Frame,
};
use gochat_proto::types::{Conversation, Message};
use parking_lot::Mutex;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// Every seventh push is lost; history is whole.
    Pushes,
    /// The fifth message is accepted and never stored.
    Message,
    /// The fifth message takes two seqs.
    Seq,
}

#[derive(Default)]
struct World {
    users: Vec<String>,
    talks: HashMap<u64, (Vec<u64>, Vec<Message>)>,
    sockets: HashMap<u64, mpsc::Sender<Server>>,
    sends: usize,
    pushes: usize,
}

type Shared = Arc<(Mutex<World>, Fault)>;

fn caller(headers: &HeaderMap) -> u64 {
    headers["authorization"].to_str().unwrap().trim_start_matches("Bearer token-").parse().unwrap()
}

fn id(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

async fn register(State(shared): State<Shared>, Json(body): Json<Value>) -> Json<Value> {
    let mut world = shared.0.lock();
    world.users.push(body["name"].as_str().unwrap().into());
    let id = world.users.len();
    Json(json!({ "user": { "userId": id.to_string(), "name": body["name"] }, "sessionId": "1",
        "accessToken": format!("token-{id}"), "refreshToken": "r", "expiresAtMs": u64::MAX.to_string() }))
}

async fn converse(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Json<Conversation> {
    let mut members = vec![caller(&headers)];
    match body["memberIds"].as_array() {
        Some(ids) => members.extend(ids.iter().map(id)),
        None => members.push(id(&body["peerId"])),
    }
    let mut world = shared.0.lock();
    let conversation_id = 1000 + world.talks.len() as u64;
    world.talks.insert(conversation_id, (members, Vec::new()));
    Json(Conversation { conversation_id, ..Conversation::default() })
}

async fn add(
    State(shared): State<Shared>,
    Path(talk): Path<u64>,
    Json(body): Json<Value>,
) -> Json<Conversation> {
    let ids = body["memberIds"].as_array().unwrap().iter().map(id);
    shared.0.lock().talks.get_mut(&talk).unwrap().0.extend(ids);
    Json(Conversation { conversation_id: talk, ..Conversation::default() })
}

async fn upgrade(State(shared): State<Shared>, upgrade: WebSocketUpgrade) -> axum::response::Response {
    upgrade.protocols(["gochat.v1+proto"]).on_upgrade(move |socket| serve(socket, shared))
}

async fn serve(mut socket: WebSocket, shared: Shared) {
    let (sender, mut outgoing) = mpsc::channel(10_000);
    let mut me = 0;
    loop {
        tokio::select! {
            Some(frame) = outgoing.recv() => {
                let frame = ServerFrame { frame: Some(frame) };
                if socket.send(Ws::Binary(frame.encode_to_vec().into())).await.is_err() { return }
            }
            message = socket.recv() => match message {
                Some(Ok(Ws::Binary(bytes))) => {
                    let frame = ClientFrame::decode(bytes).unwrap().frame.unwrap();
                    shared.0.lock().take(shared.1, &mut me, frame, &sender);
                }
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

impl World {
    fn take(&mut self, fault: Fault, me: &mut u64, frame: Frame, sender: &mpsc::Sender<Server>) {
        let answer = match frame {
            Frame::Hello(hello) => {
                let token =
                    if hello.resume_token.is_empty() { hello.access_token } else { hello.resume_token };
                *me = token.trim_start_matches("token-").parse().unwrap();
                self.sockets.insert(*me, sender.clone());
                Server::Welcome(Welcome { user_id: *me, resume_token: token, ..Welcome::default() })
            }
            Frame::Sync(sync) if sync.conversation_id == 0 => {
                let mine = self.talks.iter().filter(|(_, (members, _))| members.contains(me));
                let head = |(id, (_, log)): (&u64, &(Vec<u64>, Vec<Message>))| Conversation {
                    conversation_id: *id,
                    last_seq: log.last().map_or(0, |m| m.seq),
                    ..Conversation::default()
                };
                let conversations = mine.map(head).collect();
                Server::Synced(Synced { request_id: sync.request_id, conversations, ..Synced::default() })
            }
            Frame::Sync(sync) => {
                let log = &self.talks[&sync.conversation_id].1;
                let messages: Vec<_> =
                    log.iter().filter(|m| m.seq > sync.after_seq.unwrap()).cloned().collect();
                let last_seq = log.last().map_or(0, |m| m.seq);
                Server::Synced(Synced {
                    request_id: sync.request_id,
                    messages,
                    last_seq,
                    ..Synced::default()
                })
            }
            Frame::Send(send) => {
                self.sends += 1;
                let conversation_id = send.conversation_id;
                let client_msg_id = send.client_msg_id.clone();
                sender.try_send(Server::Accepted(Accepted { conversation_id, client_msg_id })).unwrap();
                let fifth = self.sends == 5;
                if fault == Fault::Message && fifth {
                    return;
                }
                let (members, log) = self.talks.get_mut(&conversation_id).unwrap();
                let seq = log.last().map_or(0, |m| m.seq) + if fault == Fault::Seq && fifth { 2 } else { 1 };
                let message = Message {
                    conversation_id,
                    seq,
                    sender_id: *me,
                    client_msg_id: send.client_msg_id.clone(),
                    text: send.text,
                    ..Message::default()
                };
                log.push(message.clone());
                for member in members.iter().filter(|m| *m != me) {
                    self.pushes += 1;
                    if fault == Fault::Pushes && self.pushes.is_multiple_of(7) {
                        continue;
                    }
                    let _ = self.sockets[member].try_send(Server::Message(message.clone()));
                }
                let client_msg_id = send.client_msg_id;
                Server::Committed(Committed { conversation_id, client_msg_id, seq, ..Committed::default() })
            }
            Frame::Ping(ping) => Server::Pong(Pong { nonce: ping.nonce }),
            _ => return,
        };
        let _ = sender.try_send(answer);
    }
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

/// Runs the bench; returns whether it succeeded and its report.
async fn bench(fault: Fault, flags: &str) -> Result<(bool, Value)> {
    bench_until(fault, flags, std::future::pending()).await
}

async fn bench_until(fault: Fault, flags: &str, ended: impl Future<Output = ()>) -> Result<(bool, Value)> {
    let router = Router::new()
        .route("/api/v1/register", post(register))
        .route("/api/v1/conversations", post(converse))
        .route("/api/v1/conversations/{id}/members", post(add))
        .route("/ws", any(upgrade))
        .with_state(Arc::new((Mutex::default(), fault)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let target = listener.local_addr()?.to_string();
    let server = tokio::spawn(axum::serve(listener, router).into_future());

    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report.json");
    let fixed = ["bench", "--json", "--target", &target, "--warmup", "100ms", "--report"];
    let report_flag = report.display().to_string();
    let all = fixed.into_iter().chain([report_flag.as_str()]).chain(flags.split(' '));
    let code = gochat_bench::run_until(Cli::try_parse_from(all)?.args, ended).await?;
    server.abort();
    let report = serde_json::from_slice(&std::fs::read(report)?)?;
    Ok((format!("{code:?}") == format!("{:?}", std::process::ExitCode::SUCCESS), report))
}

#[tokio::test]
async fn a_faithful_server_has_a_clean_ledger() -> Result<()> {
    let (clean, report) = bench(Fault::None, "--pairs 3 --groups 5x2 --rate 300 --duration 300ms").await?;
    assert!(clean, "{report}");
    assert_eq!(report["sent"], 120, "the schedule is kept whatever the answers do");
    assert_eq!(report["committed"], 120);
    // Of five conversations in turn, three have one other member and two have four.
    assert_eq!(report["delivered"], 24 * (3 + 2 * 4));
    assert_eq!(report["connections"], 6);
    Ok(())
}

#[tokio::test]
async fn lost_pushes_are_pulled_and_cost_no_message() -> Result<()> {
    let (clean, report) = bench(Fault::Pushes, "--pairs 3 --rate 300 --duration 300ms").await?;
    assert!(clean, "{report}");
    assert_eq!(report["delivered"], 120);
    assert!(report["gap_syncs"].as_u64() > Some(0), "{report}");
    Ok(())
}

#[tokio::test]
async fn a_lost_message_fails_the_run() -> Result<()> {
    let (clean, report) = bench(Fault::Message, "--pairs 2 --rate 200 --duration 200ms --quiesce 3s").await?;
    assert!(!clean);
    assert_eq!(report["missing"], 2, "at its sender and at its recipient: {report}");
    Ok(())
}

#[tokio::test]
async fn a_hole_in_the_seqs_fails_the_run() -> Result<()> {
    let (clean, report) = bench(Fault::Seq, "--pairs 2 --rate 200 --duration 200ms").await?;
    assert!(!clean && report["gaps"].as_u64() > Some(0), "{report}");
    assert_eq!(report["missing"], 0);
    Ok(())
}

#[tokio::test]
async fn idle_connections_come_back_together() -> Result<()> {
    let (clean, report) = bench(Fault::None, "--idle 40 --devices 4 --duration 50ms --reconnect").await?;
    assert!(clean, "{report}");
    assert_eq!(report["connections"], 40);
    assert!(report["reconnect_seconds"].as_f64() > Some(0.0));
    assert_eq!(report["reconnects"], 0, "those the bench wanted are not counted");
    Ok(())
}

#[tokio::test]
async fn a_load_that_is_ended_early_is_waited_for_and_counted() -> Result<()> {
    let soon = tokio::time::sleep(std::time::Duration::from_millis(500));
    let (clean, report) = bench_until(Fault::None, "--pairs 3 --rate 100 --duration 1h", soon).await?;
    assert!(clean, "{report}");
    let sent = report["sent"].as_u64().unwrap();
    assert!((1..300).contains(&sent), "{report}");
    assert_eq!(report["committed"], sent);
    Ok(())
}
