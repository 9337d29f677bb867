//! Gateways in this process on the embedded log and in-process coordination. The tests play logic: they read what
//! gateways write upstream and write what gateways deliver. Only token checks have a stand-in.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "each test uses a part of it, and a test may fail"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use gochat_chassis::{Health, Shutdown, grpc};
use gochat_coord::{Coord, CoordConfig, Member, Membership};
use gochat_core::{Epoch, MemberId, Placement, Slot, SlotCount, Slots, Topics, UserId, Workload};
use gochat_gateway::{Bound, Config, Deps};
use gochat_mq::{Mq, MqConfig, Producer, Record, TopicSpec};
use gochat_proto::client::{ClientFrame, Hello, ServerFrame, Welcome, client_frame, server_frame};
use gochat_proto::events::{Downstream, Upstream};
use gochat_proto::logic::auth_service_server::{AuthService, AuthServiceServer};
use gochat_proto::logic::validated::Result as Validated;
use gochat_proto::logic::{self, validate_request::Token};
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tonic::{Request, Response, Status, async_trait};

pub const SHARDS: u32 = 8;
/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything but the gateways.
pub struct World {
    pub mq: Mq,
    pub coord: Coord,
    pub topics: Topics,
    pub shards: SlotCount,
    producer: Producer,
    shutdown: Shutdown,
    _logic: Membership,
    tokens: Tokens,
}

pub struct Gateway {
    pub member: MemberId,
    pub address: SocketAddr,
    pub shutdown: Shutdown,
    pub health: Health,
    pub stopped: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl World {
    pub async fn new() -> Self {
        let mq = Mq::connect(&MqConfig::default()).await.unwrap();
        let topics = Topics::new("gochat");
        let spec = |name: &str, partitions| TopicSpec { name: name.to_owned(), partitions, replication: 1 };
        mq.ensure_topics(&[
            spec(&topics.upstream, 4),
            spec(&topics.downstream, SHARDS),
            spec(&topics.task, 4),
        ])
        .await
        .unwrap();
        let coord = Coord::connect(&CoordConfig::default()).await.unwrap();
        let shutdown = Shutdown::new();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let member = Member {
            id: "logic-0".into(),
            workload: Workload::Logic,
            address: format!("http://{}", listener.local_addr().unwrap()),
            draining: false,
        };
        let tokens = Tokens::default();
        let routes = tonic::service::Routes::new(AuthServiceServer::new(tokens.clone()));
        shutdown.spawn("logic", grpc::serve(listener, routes, shutdown.clone()));
        let membership = coord.session().join(member).await.unwrap();
        let producer = mq.producer().unwrap();
        let shards = SlotCount::new(SHARDS).unwrap();
        Self { mq, coord, topics, shards, producer, shutdown, _logic: membership, tokens }
    }

    /// How often logic was asked about tokens.
    pub fn token_calls(&self) -> usize {
        self.tokens.0.load(Ordering::Relaxed)
    }

    /// Gateways that have all shards attached, dealt out in turn.
    pub async fn gateways<const N: usize>(&self, adjust: impl Fn(&mut Config)) -> [Gateway; N] {
        let members: Vec<MemberId> =
            (0..N).map(|i| MemberId::from(format!("gateway-{i}").as_str())).collect();
        let placement = Placement::dealt(Epoch(1), self.shards, &members);
        self.coord.put_placement(Workload::Gateway, &placement).await.unwrap();
        let mut started = Vec::new();
        for member in members {
            started.push(self.gateway(member, &adjust).await);
        }
        for gateway in &started {
            until(|| gateway.health.is_ready()).await;
        }
        started.try_into().unwrap_or_else(|_| panic!("{N} gateways"))
    }

    async fn gateway(&self, member: MemberId, adjust: impl Fn(&mut Config)) -> Gateway {
        let mut config = Config {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            grpc_listen: (Ipv4Addr::LOCALHOST, 0).into(),
            member: member.to_string(),
            sync_spread: Duration::ZERO,
            presence_grace: Duration::ZERO,
            drain_window: Duration::from_millis(100),
            ..Config::default()
        };
        adjust(&mut config);
        let health = Health::new();
        let four = SlotCount::new(4).unwrap();
        let deps = Deps {
            mq: self.mq.clone(),
            topics: self.topics.clone(),
            slots: Slots { shards: self.shards, upstream: four, task: four },
            coord: self.coord.session(),
            health: health.clone(),
        };
        let bound = Bound::bind(config, deps).await.unwrap();
        let address = bound.address().unwrap();
        let shutdown = Shutdown::new();
        let stopped = tokio::spawn(bound.serve(shutdown.clone()));
        Gateway { member, address, shutdown, health, stopped }
    }

    /// The n-th user of a shard.
    pub fn user_in(&self, slot: u32, n: usize) -> u64 {
        (1..).filter(|id| self.shards.of_user(UserId::new(*id).unwrap()) == Slot(slot)).nth(n).unwrap()
    }

    /// Writes what logic would.
    pub async fn downstream(&self, record: Downstream) {
        let user = record.recipients.first().copied().or(record.revoke.as_ref().map(|r| r.user_id)).unwrap();
        let partition = self.shards.of_user(UserId::new(user).unwrap()).0;
        let record = Record {
            topic: self.topics.downstream.as_str().into(),
            partition,
            key: user.to_be_bytes().to_vec().into(),
            payload: record.encode_to_vec().into(),
            headers: Vec::new(),
        };
        self.producer.send(record).unwrap().await.unwrap();
    }

    /// A message to some users of one shard.
    pub async fn push(&self, recipients: &[u64], seq: u64) {
        self.downstream(Downstream {
            recipients: recipients.to_vec(),
            frame: message(seq).encode_to_vec().into(),
            ..Downstream::default()
        })
        .await;
    }

    /// Everything that was written upstream so far, at least `n` records.
    pub async fn upstream(&self, n: usize) -> Vec<Upstream> {
        let consumer = self.mq.consumer("test", &self.topics.upstream).unwrap();
        for partition in 0..4 {
            consumer.assign(partition).await.unwrap();
        }
        let mut got = Vec::new();
        while got.len() < n {
            let records = tokio::time::timeout(PATIENCE, consumer.poll(100)).await.unwrap().unwrap();
            got.extend(records.into_iter().map(|r| Upstream::decode(r.payload).unwrap()));
        }
        got
    }

    /// Moves a shard and waits until the new owner is known.
    pub async fn move_shard(&self, slot: u32, to: &MemberId) {
        let placement = self.coord.placement(Workload::Gateway).borrow().with_owner(Slot(slot), to);
        self.coord.put_placement(Workload::Gateway, &placement).await.unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

/// Stands in for logic's token checks: `user:<id>:<session>` and `resume:<id>:<session>` are valid for an hour,
/// `user:<id>:<session>:<ms>` for so long; others are refused with what follows `refuse:`, and `hang` is never answered.
#[derive(Clone, Default)]
struct Tokens(Arc<AtomicUsize>);

fn in_ms(ms: u64) -> i64 {
    let end = std::time::SystemTime::now() + Duration::from_millis(ms);
    end.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

fn validated(asked: logic::ValidateRequest) -> Validated {
    let (Token::AccessToken(token) | Token::ResumeToken(token)) = asked.token.unwrap();
    let parts: Vec<&str> = token.split(':').collect();
    let refused = |code: &str| {
        let code = code.to_owned();
        Validated::Refused(logic::Refused { code, text: "refused".into(), ..Default::default() })
    };
    match parts.as_slice() {
        ["user" | "resume", user, session, lifetime @ ..] => Validated::Identity(logic::Identity {
            user_id: user.parse().unwrap(),
            session_id: session.parse().unwrap(),
            expires_at_ms: in_ms(lifetime.first().map_or(3_600_000, |ms| ms.parse().unwrap())),
            resume_token: format!("resume:{user}:{session}"),
        }),
        ["refuse", code] => refused(code),
        _ => refused("unauthenticated"),
    }
}

#[async_trait]
impl AuthService for Tokens {
    async fn validate_many(
        &self,
        request: Request<logic::ValidateManyRequest>,
    ) -> Result<Response<logic::ValidateManyResponse>, Status> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let requests = request.into_inner().requests;
        if requests.iter().any(|asked| asked.token == Some(Token::AccessToken("hang".into()))) {
            std::future::pending::<()>().await;
        }
        let results =
            requests.into_iter().map(|asked| logic::Validated { result: Some(validated(asked)) }).collect();
        Ok(Response::new(logic::ValidateManyResponse { results }))
    }
    async fn validate(
        &self,
        _: Request<logic::ValidateRequest>,
    ) -> Result<Response<logic::Identity>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn register(
        &self,
        _: Request<logic::RegisterRequest>,
    ) -> Result<Response<logic::TokenPair>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn login(&self, _: Request<logic::LoginRequest>) -> Result<Response<logic::TokenPair>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn refresh(&self, _: Request<logic::RefreshRequest>) -> Result<Response<logic::TokenPair>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn logout(
        &self,
        _: Request<logic::LogoutRequest>,
    ) -> Result<Response<logic::LogoutResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

/// A client's socket, speaking protobuf or JSON.
pub struct Socket {
    inner: WebSocketStream<MaybeTlsStream<TcpStream>>,
    json: bool,
}

impl Gateway {
    pub async fn connect(&self, json: bool) -> Socket {
        let mut request = format!("ws://{}/ws", self.address).into_client_request().unwrap();
        let protocol = if json { "gochat.v1+json" } else { "gochat.v1+proto" };
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(protocol));
        let (inner, response) = connect_async(request).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], protocol);
        Socket { inner, json }
    }

    /// A welcomed client.
    pub async fn login(&self, user: u64) -> Socket {
        self.login_as(user, 1, false).await.0
    }

    pub async fn login_as(&self, user: u64, session: u64, json: bool) -> (Socket, Welcome) {
        self.login_with(format!("user:{user}:{session}"), json).await
    }

    pub async fn login_with(&self, access_token: String, json: bool) -> (Socket, Welcome) {
        let mut socket = self.connect(json).await;
        socket.send(client_frame::Frame::Hello(Hello { access_token, ..Hello::default() })).await;
        match socket.next().await {
            server_frame::Frame::Welcome(welcome) => (socket, welcome),
            other => panic!("no welcome but {other:?}"),
        }
    }
}

impl Socket {
    pub async fn send(&mut self, frame: client_frame::Frame) {
        let frame = ClientFrame { frame: Some(frame) };
        let message = if self.json {
            Message::text(serde_json::to_string(&frame).unwrap())
        } else {
            Message::binary(frame.encode_to_vec())
        };
        self.raw(message).await;
    }

    pub async fn raw(&mut self, message: Message) {
        self.inner.send(message).await.unwrap();
    }

    /// The next frame that is not a heartbeat; a close is a failure.
    pub async fn next(&mut self) -> server_frame::Frame {
        match self.event().await {
            Ok(frame) => frame,
            Err(code) => panic!("closed with {code}"),
        }
    }

    /// The next frame that is not a heartbeat, or the code of the close (0: without one).
    pub async fn event(&mut self) -> Result<server_frame::Frame, u16> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.inner.next()).await.expect("a frame in time");
            let frame = match message {
                Some(Ok(Message::Binary(bytes))) => ServerFrame::decode(bytes).unwrap(),
                Some(Ok(Message::Text(text))) => serde_json::from_str(text.as_str()).unwrap(),
                Some(Ok(Message::Close(close))) => return Err(close.map_or(0, |c| c.code.into())),
                Some(Ok(_)) => continue,
                Some(Err(WsError::Protocol(_) | WsError::Io(_))) | None => return Err(0),
                Some(Err(error)) => panic!("{error}"),
            };
            match frame.frame.unwrap() {
                server_frame::Frame::Ping(_) => {}
                frame => return Ok(frame),
            }
        }
    }

    /// The close code, and the error that came before it.
    pub async fn closed(&mut self) -> (u16, Option<String>) {
        let mut error = None;
        loop {
            match self.event().await {
                Ok(server_frame::Frame::Error(e)) => error = Some(e.code),
                Ok(_) => {}
                Err(code) => return (code, error),
            }
        }
    }

    /// Whether the socket does what it should: a ping is answered.
    pub async fn is_alive(&mut self) -> bool {
        self.send(client_frame::Frame::Ping(gochat_proto::client::Ping { nonce: 99 })).await;
        loop {
            match self.event().await {
                Ok(server_frame::Frame::Pong(pong)) => return pong.nonce == 99,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }
}

/// A stored message as a frame.
pub fn message(seq: u64) -> ServerFrame {
    let message = gochat_proto::types::Message { conversation_id: 5, seq, ..Default::default() };
    ServerFrame { frame: Some(server_frame::Frame::Message(message)) }
}

/// The seq of a message frame.
pub fn seq(frame: &server_frame::Frame) -> u64 {
    match frame {
        server_frame::Frame::Message(message) => message.seq,
        other => panic!("no message but {other:?}"),
    }
}

/// Polls a condition that another task brings about.
pub async fn until(mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "it did not come about in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A welcomed connection without a WebSocket library behind it: it answers nothing by itself.
pub async fn mute(gateway: &Gateway, user: u64) -> TcpStream {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let upgrade = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let hello = format!(r#"{{"hello":{{"accessToken":"user:{user}:1"}}}}"#);
    stream.write_all(&client_message(0x1, hello.as_bytes())).await.unwrap();
    let mut got = Vec::new();
    while !got.windows(7).any(|w| w == b"welcome") {
        let mut chunk = [0; 1024];
        let n = stream.read(&mut chunk).await.unwrap();
        assert!(n > 0, "closed before the welcome");
        got.extend_from_slice(&chunk[..n]);
    }
    stream
}

/// Everything the server says until it ends the connection.
pub async fn end_of(mut stream: TcpStream) -> Vec<u8> {
    use tokio::io::AsyncReadExt as _;
    let mut got = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut got).await;
    got
}

/// A client's WebSocket message by hand: masked, one frame (RFC 6455, 5.2).
pub fn client_message(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        n @ 0..=125 => frame.push(0x80 | u8::try_from(n).unwrap()),
        n => {
            frame.push(0x80 | 0x7e);
            frame.extend_from_slice(&u16::try_from(n).unwrap().to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// An HTTP client. Its TLS is not used, but it wants a provider.
pub fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
