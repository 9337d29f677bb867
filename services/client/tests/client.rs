//! The client over a real socket, against a server of a few lines.

use anyhow::{Context as _, Result};
use futures::{SinkExt, StreamExt};
use gochat_client::{Client, ClientConfig, Encoding, Event, SendError};
use gochat_proto::client::server_frame::Frame as Server;
use gochat_proto::client::{
    Accepted, ClientFrame, Committed, Error, ServerFrame, Synced, Welcome, client_frame::Frame,
};
use gochat_proto::types::{Conversation, Message as Text};
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

const CHAT: u64 = 70;

struct Peer {
    ws: WebSocketStream<TcpStream>,
    encoding: Encoding,
}

impl Peer {
    /// The next client, past its hello; returns the tokens it showed.
    async fn accept(listener: &TcpListener, encoding: Encoding) -> Result<(Self, (String, String))> {
        let (socket, _) = listener.accept().await?;
        // The callback's type is tungstenite's.
        #[allow(clippy::result_large_err)]
        let negotiate = move |request: &Request, mut response: Response| {
            let offered = request.headers()["sec-websocket-protocol"].clone();
            assert_eq!(offered, encoding.subprotocol());
            response.headers_mut().insert("sec-websocket-protocol", offered);
            Ok(response)
        };
        let ws = accept_hdr_async(socket, negotiate).await?;
        let mut peer = Self { ws, encoding };
        match peer.next().await? {
            Frame::Hello(hello) => Ok((peer, (hello.access_token, hello.resume_token))),
            other => anyhow::bail!("{other:?} before hello"),
        }
    }

    async fn next(&mut self) -> Result<Frame> {
        let frame: ClientFrame = match self.ws.next().await.context("the client left")?? {
            Message::Binary(bytes) => ClientFrame::decode(bytes)?,
            Message::Text(text) => serde_json::from_str(&text)?,
            other => anyhow::bail!("{other:?}"),
        };
        frame.frame.context("an empty frame")
    }

    async fn say(&mut self, frame: Server) -> Result<()> {
        let frame = ServerFrame { frame: Some(frame) };
        let message = match self.encoding {
            Encoding::Proto => Message::Binary(frame.encode_to_vec().into()),
            Encoding::Json => Message::Text(serde_json::to_string(&frame)?.into()),
        };
        Ok(self.ws.send(message).await?)
    }

    async fn welcome(&mut self) -> Result<()> {
        let welcome = Welcome { user_id: 1, resume_token: "resume".into(), ..Welcome::default() };
        self.say(Server::Welcome(welcome)).await
    }

    /// Answers the sync of heads that follows a welcome.
    async fn heads(&mut self, last_seq: u64) -> Result<()> {
        let Frame::Sync(sync) = self.next().await? else { anyhow::bail!("no sync") };
        let conversations = vec![Conversation { conversation_id: CHAT, last_seq, ..Conversation::default() }];
        self.say(Server::Synced(Synced { request_id: sync.request_id, conversations, ..Synced::default() }))
            .await
    }

    async fn sent(&mut self) -> Result<(String, String)> {
        match self.next().await? {
            Frame::Send(send) => Ok((send.client_msg_id, send.text)),
            other => anyhow::bail!("{other:?} where a send was expected"),
        }
    }
}

async fn talk(encoding: Encoding) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/ws", listener.local_addr()?);
    let (client, mut events) =
        Client::connect(ClientConfig { encoding, ..ClientConfig::new([url], "access") });

    let (mut peer, tokens) = Peer::accept(&listener, encoding).await?;
    assert_eq!(tokens, ("access".into(), String::new()));
    peer.welcome().await?;
    peer.heads(4).await?;
    while events.next().await.context("stopped")? != Event::CaughtUp {}

    let mut lost = client.send(CHAT, "lost with its connection").await?;
    let (id, _) = peer.sent().await?;
    assert_eq!(id, lost.client_msg_id);
    let accepted = Accepted { conversation_id: CHAT, client_msg_id: id.clone() };
    peer.say(Server::Accepted(accepted)).await?;
    lost.accepted().await?;
    drop(peer);

    let (mut peer, tokens) = Peer::accept(&listener, encoding).await?;
    assert_eq!(tokens, (String::new(), "resume".into()));
    peer.welcome().await?;
    assert_eq!(peer.sent().await?, (id.clone(), "lost with its connection".into()));
    peer.heads(5).await?;
    let Frame::Sync(gap) = peer.next().await? else { anyhow::bail!("no sync of the gap") };
    assert_eq!((gap.conversation_id, gap.after_seq), (CHAT, Some(4)));
    let missed = Text { conversation_id: CHAT, seq: 5, text: "missed".into(), ..Text::default() };
    let page =
        Synced { request_id: gap.request_id, messages: vec![missed], last_seq: 5, ..Synced::default() };
    peer.say(Server::Synced(page)).await?;
    let committed = Committed { conversation_id: CHAT, client_msg_id: id, seq: 6, ..Committed::default() };
    peer.say(Server::Committed(committed)).await?;
    assert_eq!(lost.committed().await?.seq, 6);

    let mut read = Vec::new();
    while read.len() < 2 {
        if let Event::Message(message) = events.next().await.context("stopped")? {
            read.push((message.seq, message.text));
        }
    }
    assert_eq!(read, [(5, "missed".into()), (6, "lost with its connection".to_owned())]);

    let mut refused = client.send(CHAT, "no").await?;
    let (client_msg_id, _) = peer.sent().await?;
    peer.say(Server::Error(Error { code: "not_a_member".into(), client_msg_id, ..Error::default() })).await?;
    let error = refused.committed().await;
    assert!(matches!(&error, Err(SendError::Refused(e)) if e.code == "not_a_member"), "{error:?}");

    drop(client);
    assert!(matches!(peer.ws.next().await, Some(Ok(Message::Close(_)))), "a client that stops says good-bye");
    Ok(())
}

#[tokio::test]
async fn in_protobuf_a_client_resumes_sends_again_and_misses_nothing() -> Result<()> {
    talk(Encoding::Proto).await
}

#[tokio::test]
async fn in_json_a_client_resumes_sends_again_and_misses_nothing() -> Result<()> {
    talk(Encoding::Json).await
}

#[tokio::test]
async fn a_reader_that_sleeps_does_not_keep_commands_from_being_obeyed() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/ws", listener.local_addr()?);
    let (client, _events) = Client::connect(ClientConfig::new([url], "access"));
    let (mut peer, _) = Peer::accept(&listener, Encoding::Proto).await?;
    peer.welcome().await?;
    peer.heads(0).await?;
    for seq in 1..=3000 {
        peer.say(Server::Message(Text { conversation_id: CHAT, seq, ..Text::default() })).await?;
    }
    // Nobody reads events: the channel is full or will be, and still:
    for _ in 0..200 {
        client.send(CHAT, "still here").await?;
    }
    Ok(())
}
