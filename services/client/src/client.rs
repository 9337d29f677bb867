//! The client for applications: a handle to command it, a stream of events, a task in between.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gochat_proto::client::{Committed, Error};
use tokio::sync::{mpsc, oneshot, watch};

use crate::codec::Encoding;
use crate::driver::Driver;
use crate::protocol::{Event, History, OutboxFull, Settings};

const COMMANDS: usize = 64;
const EVENTS: usize = 1024;

/// What a client is made of.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `ws://host:port/ws` or `wss://…`, tried in turn; at least one.
    pub endpoints: Vec<String>,
    /// Access token (see [`crate::Api::login`]).
    pub token: String,
    /// Subprotocol.
    pub encoding: Encoding,
    /// For people: "Firefox on Linux"; at most 64 bytes.
    pub device: String,
    /// Which messages to get of conversations without a cursor.
    pub history: History,
    /// What the reader has already: the last seq by conversation. Everything after it is delivered.
    pub cursors: HashMap<u64, u64>,
    /// Most sends that may wait to be committed.
    pub max_pending: usize,
}

impl ClientConfig {
    /// The usual settings.
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>, token: impl Into<String>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            token: token.into(),
            encoding: Encoding::default(),
            device: String::new(),
            history: History::default(),
            cursors: HashMap::new(),
            max_pending: 1000,
        }
    }
}

/// The client has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client has stopped")]
pub struct Closed;

/// Why a message was not stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    /// The server refused it for good.
    #[error("refused with {}: {}", .0.code, .0.text)]
    Refused(Error),
    /// Too many wait already.
    #[error(transparent)]
    Full(#[from] OutboxFull),
    /// The client stopped first; whether the message is stored is not known.
    #[error("the client stopped before the message was committed")]
    Closed,
}

impl From<Closed> for SendError {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

#[derive(Clone, Debug)]
enum Progress {
    Pending,
    Accepted,
    Committed(Committed),
    Refused(Error),
}

/// A message on its way.
#[derive(Debug)]
pub struct Sent {
    /// As events name it.
    pub client_msg_id: String,
    progress: watch::Receiver<Progress>,
}

impl Sent {
    /// Waits until the message is durable (or committed).
    pub async fn accepted(&mut self) -> Result<(), SendError> {
        self.reached(|p| !matches!(p, Progress::Pending)).await.map(|_| ())
    }

    /// Waits until the message has its place.
    pub async fn committed(&mut self) -> Result<Committed, SendError> {
        match self.reached(|p| matches!(p, Progress::Committed(_) | Progress::Refused(_))).await? {
            Progress::Committed(committed) => Ok(committed),
            _ => Err(SendError::Closed),
        }
    }

    async fn reached(&mut self, far_enough: impl FnMut(&Progress) -> bool) -> Result<Progress, SendError> {
        match self.progress.wait_for(far_enough).await.map_err(|_| SendError::Closed)?.clone() {
            Progress::Refused(error) => Err(SendError::Refused(error)),
            progress => Ok(progress),
        }
    }
}

enum Command {
    Send { conversation: u64, text: String, sent: oneshot::Sender<Result<Sent, OutboxFull>> },
    MarkRead { conversation: u64, seq: u64 },
    Typing { conversation: u64 },
    Watch(Vec<u64>),
    Sync,
    SetToken(String),
    Reconnect,
}

/// Commands a client. Cheap to clone; the client stops when all are dropped.
#[derive(Clone, Debug)]
pub struct Client {
    commands: mpsc::Sender<Command>,
}

/// What the client tells. Bounded: while nobody reads, the client doesn't either.
#[derive(Debug)]
pub struct Events {
    events: mpsc::Receiver<Event>,
}

impl Events {
    /// The next event; `None` once the client has stopped.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

impl Client {
    /// Starts a client; it connects by itself and stays connected. Must be called in a Tokio runtime.
    pub fn connect(config: ClientConfig) -> (Self, Events) {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (outbox, events) = mpsc::channel(EVENTS);
        let settings = Settings {
            endpoints: config.endpoints.len(),
            first_endpoint: 0,
            access_token: config.token,
            device: config.device,
            history: config.history,
            cursors: config.cursors,
            max_pending: config.max_pending,
            seed: rand::random(),
        };
        let endpoints: Arc<[String]> = config.endpoints.into();
        tokio::spawn(run(Driver::new(settings, endpoints, config.encoding), inbox, outbox));
        (Self { commands }, Events { events })
    }

    /// Sends a text. It is on its way when this returns, and goes on over reconnects.
    pub async fn send(&self, conversation: u64, text: impl Into<String>) -> Result<Sent, SendError> {
        let (sent, answer) = oneshot::channel();
        self.command(Command::Send { conversation, text: text.into(), sent }).await?;
        Ok(answer.await.map_err(|_| Closed)??)
    }

    /// Moves the user's read cursor.
    pub async fn mark_read(&self, conversation: u64, seq: u64) -> Result<(), Closed> {
        self.command(Command::MarkRead { conversation, seq }).await
    }

    /// Says that the user is typing.
    pub async fn typing(&self, conversation: u64) -> Result<(), Closed> {
        self.command(Command::Typing { conversation }).await
    }

    /// Replaces the set of users whose presence is told.
    pub async fn watch_presence(&self, users: Vec<u64>) -> Result<(), Closed> {
        self.command(Command::Watch(users)).await
    }

    /// Syncs now; `CaughtUp` follows.
    pub async fn sync(&self) -> Result<(), Closed> {
        self.command(Command::Sync).await
    }

    /// A new access token.
    pub async fn set_token(&self, token: impl Into<String>) -> Result<(), Closed> {
        self.command(Command::SetToken(token.into())).await
    }

    /// Drops the connection and opens another at once.
    pub async fn reconnect(&self) -> Result<(), Closed> {
        self.command(Command::Reconnect).await
    }

    async fn command(&self, command: Command) -> Result<(), Closed> {
        self.commands.send(command).await.map_err(|_| Closed)
    }
}

async fn run(mut driver: Driver, mut commands: mpsc::Receiver<Command>, events: mpsc::Sender<Event>) {
    let mut sends: HashMap<String, watch::Sender<Progress>> = HashMap::new();
    let mut waiting: VecDeque<Event> = VecDeque::new();
    loop {
        tokio::select! {
            // While an event waits for its reader, nothing more is read, but commands are obeyed: a reader that sends
            // must not wait for itself.
            event = driver.next_event(), if waiting.is_empty() => {
                note(&mut sends, &event);
                waiting.push_back(event);
            }
            permit = events.reserve(), if !waiting.is_empty() => {
                let Ok(permit) = permit else { break };
                if let Some(event) = waiting.pop_front() {
                    permit.send(event);
                }
            }
            command = commands.recv() => {
                let Some(command) = command else { break };
                obey(&mut driver, &mut sends, command);
            }
        }
    }
    driver.input(|session, _| session.stop());
    // Performs the close that is behind the events that nobody will read.
    while tokio::time::timeout(Duration::ZERO, driver.next_event()).await.is_ok() {}
}

fn note(sends: &mut HashMap<String, watch::Sender<Progress>>, event: &Event) {
    let (id, progress) = match event {
        Event::Accepted { client_msg_id, .. } => {
            if let Some(sender) = sends.get(client_msg_id) {
                sender.send_replace(Progress::Accepted);
            }
            return;
        }
        Event::Committed(committed) => (&committed.client_msg_id, Progress::Committed(committed.clone())),
        Event::Refused { client_msg_id, error, .. } => (client_msg_id, Progress::Refused(error.clone())),
        _ => return,
    };
    if let Some(sender) = sends.remove(id) {
        sender.send_replace(progress);
    }
}

fn obey(driver: &mut Driver, sends: &mut HashMap<String, watch::Sender<Progress>>, command: Command) {
    driver.input(|session, now| match command {
        Command::Send { conversation, text, sent } => {
            let result = session.send(now, conversation, text).map(|client_msg_id| {
                let (sender, progress) = watch::channel(Progress::Pending);
                sends.insert(client_msg_id.clone(), sender);
                Sent { client_msg_id, progress }
            });
            // A caller that went away doesn't unsend.
            let _ = sent.send(result);
        }
        Command::MarkRead { conversation, seq } => session.mark_read(conversation, seq),
        Command::Typing { conversation } => session.typing(conversation),
        Command::Watch(users) => session.watch(users),
        Command::Sync => session.sync(now),
        Command::SetToken(token) => session.set_token(now, token),
        Command::Reconnect => session.reconnect(now),
    });
}
