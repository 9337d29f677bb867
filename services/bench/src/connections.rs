//! The connections of a run: one task each, around the client's own protocol core.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gochat_client::protocol::Stats;
use gochat_client::{Account, Driver, Event, History, Settings};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::args::{Args, Target};
use crate::ledger::{Ledger, Talk};

/// Messages that wait for one connection's task.
const COMMANDS: usize = 64;
/// Most connections that are being opened at a time.
const OPENING: u64 = 256;
const OPEN_WITHIN: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(5);

/// What all tasks write to.
pub(crate) struct Shared {
    pub(crate) started: Instant,
    pub(crate) ledger: Mutex<Ledger>,
    /// Tells this run's messages from others in the same conversation.
    run: u32,
    pub(crate) online: AtomicU64,
    pub(crate) welcomes: AtomicU64,
    /// Of the last welcome, in microseconds since the start.
    last_welcome_us: AtomicU64,
    pub(crate) reconnects: AtomicU64,
    pub(crate) longest_outage_us: AtomicU64,
    /// What the servers said last when they refused something.
    pub(crate) last_trouble: Mutex<String>,
    pub(crate) stats: Mutex<Stats>,
}

impl Shared {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self {
            started: Instant::now(),
            ledger: Mutex::new(ledger),
            run: rand::random(),
            online: AtomicU64::new(0),
            welcomes: AtomicU64::new(0),
            last_welcome_us: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            longest_outage_us: AtomicU64::new(0),
            last_trouble: Mutex::default(),
            stats: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// A text that names the message, filled up to `bytes`.
    pub(crate) fn text(&self, number: u32, bytes: usize) -> String {
        let mut text = format!("{:x}-{number:x} ", self.run);
        while text.len() < bytes {
            text.push('x');
        }
        text
    }

    fn number(&self, text: &str) -> Option<u32> {
        let (run, number) = text.split_once(' ')?.0.split_once('-')?;
        let run = u32::from_str_radix(run, 16).ok()?;
        (run == self.run).then(|| u32::from_str_radix(number, 16).ok())?
    }
}

pub(crate) enum Command {
    Send {
        conversation: u64,
        number: u32,
        text: String,
    },
    /// Answered when nothing sent waits any more.
    Drain(oneshot::Sender<()>),
    /// Answered when all that exists has come.
    Sync(oneshot::Sender<()>),
    Reconnect,
}

/// All connections; a talking user's connection has the user's index.
pub(crate) struct Connections {
    commands: Vec<mpsc::Sender<Command>>,
    tasks: JoinSet<()>,
    pub(crate) opened_in: Duration,
}

impl Connections {
    /// Opens those of the talking users, and the idle ones; returns when all are welcomed.
    pub(crate) async fn open(
        args: &Args,
        targets: &[Target],
        accounts: &[Account],
        talks: &[Talk],
        shared: &Arc<Shared>,
    ) -> Result<Self> {
        let endpoints: Arc<[String]> = targets.iter().map(|t| t.ws.clone()).collect();
        // By user: conversation → (talk, reader).
        let mut seats: Vec<HashMap<u64, (usize, usize)>> = vec![HashMap::new(); accounts.len()];
        for (talk, Talk { conversation, members }) in talks.iter().enumerate() {
            for (reader, user) in members.iter().enumerate() {
                if let Some(seat) = seats.get_mut(*user) {
                    seat.insert(*conversation, (talk, reader));
                }
            }
        }
        let talking = seats.iter().rposition(|s| !s.is_empty()).map_or(0, |last| last + 1);
        let devices = usize::from(args.devices);
        let idle = accounts.iter().flat_map(|a| std::iter::repeat_n(a, devices)).take(args.idle);
        let all = accounts.iter().zip(seats).take(talking).chain(idle.map(|a| (a, HashMap::new())));

        let begun = Instant::now();
        let mut connections = Self { commands: Vec::new(), tasks: JoinSet::new(), opened_in: Duration::ZERO };
        for (number, (account, seats)) in all.enumerate() {
            let settings = Settings {
                endpoints: endpoints.len(),
                first_endpoint: number,
                access_token: account.access_token.clone(),
                device: "gochat bench".into(),
                history: History::New,
                cursors: HashMap::new(),
                max_pending: 10_000,
                seed: rand::random(),
            };
            let driver = Driver::new(settings, endpoints.clone(), args.encoding());
            let (sender, commands) = mpsc::channel(COMMANDS);
            let connection = Connection {
                driver,
                seats,
                shared: shared.clone(),
                sent: HashMap::new(),
                lost_at: None,
                draining: Vec::new(),
                syncing: Vec::new(),
            };
            connections.tasks.spawn(connection.run(commands));
            connections.commands.push(sender);
            let open = number as u64 + 1;
            connections.until_welcomes(shared, open.saturating_sub(OPENING), begun).await?;
        }
        connections.until_welcomes(shared, connections.len() as u64, begun).await?;
        connections.opened_in = begun.elapsed();
        connections.all(Command::Sync, OPEN_WITHIN).await;
        Ok(connections)
    }

    pub(crate) fn len(&self) -> usize {
        self.commands.len()
    }

    /// Waits where the connection's task is behind: the schedule catches up, and latencies count from it.
    pub(crate) async fn send(&self, user: usize, command: Command) {
        if let Some(commands) = self.commands.get(user) {
            let _ = commands.send(command).await;
        }
    }

    /// Waits until all that was sent has its place and all readers have it, or the time is up.
    pub(crate) async fn settle(&self, args: &Args) {
        self.all(Command::Drain, args.quiesce).await;
        self.all(Command::Sync, args.quiesce).await;
    }

    /// Drops all at once; returns the time to the last welcome.
    pub(crate) async fn reconnect_all(&self, shared: &Shared, within: Duration) -> Result<Duration> {
        let goal = shared.welcomes.load(Relaxed) + self.len() as u64;
        let begun = Instant::now();
        let begun_at = shared.now();
        for commands in &self.commands {
            let _ = commands.send(Command::Reconnect).await;
        }
        while shared.welcomes.load(Relaxed) < goal {
            ensure!(begun.elapsed() < within, "only {} connections came back", shared.online.load(Relaxed));
            tokio::time::sleep(POLL).await;
        }
        let last = Duration::from_micros(shared.last_welcome_us.load(Relaxed));
        Ok(last.saturating_sub(begun_at))
    }

    pub(crate) async fn close(&mut self) {
        self.commands.clear();
        while self.tasks.join_next().await.is_some() {}
    }

    async fn until_welcomes(&self, shared: &Shared, goal: u64, since: Instant) -> Result<()> {
        while shared.welcomes.load(Relaxed) < goal {
            let (welcomes, wanted) = (shared.welcomes.load(Relaxed), self.len());
            ensure!(
                since.elapsed() < OPEN_WITHIN,
                "only {welcomes} of {wanted} connections were welcomed: {}",
                shared.last_trouble.lock(),
            );
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Asks all and waits for all answers, within a time.
    async fn all(&self, command: impl Fn(oneshot::Sender<()>) -> Command, within: Duration) {
        let ask = async {
            let mut answers = Vec::with_capacity(self.len());
            for commands in &self.commands {
                let (answer, answered) = oneshot::channel();
                let _ = commands.send(command(answer)).await;
                answers.push(answered);
            }
            for answered in answers {
                let _ = answered.await;
            }
        };
        if tokio::time::timeout(within, ask).await.is_err() {
            // A closed stderr ends nothing.
            let _ = writeln!(std::io::stderr(), "bench: not all connections have settled within {within:?}");
        }
    }
}

struct Connection {
    driver: Driver,
    seats: HashMap<u64, (usize, usize)>,
    shared: Arc<Shared>,
    /// Numbers of this run by `client_msg_id`.
    sent: HashMap<String, u32>,
    lost_at: Option<Instant>,
    draining: Vec<oneshot::Sender<()>>,
    syncing: Vec<oneshot::Sender<()>>,
}

impl Connection {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            tokio::select! {
                event = self.driver.next_event() => self.told(event),
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
            }
            if !self.draining.is_empty() && self.driver.session().is_outbox_empty() {
                answer(&mut self.draining);
            }
        }
        self.driver.input(|session, _| session.stop());
        while tokio::time::timeout(Duration::ZERO, self.driver.next_event()).await.is_ok() {}
        let mine = self.driver.session().stats();
        let mut stats = self.shared.stats.lock();
        stats.duplicates += mine.duplicates;
        stats.early += mine.early;
        stats.gap_syncs += mine.gap_syncs;
        stats.resends += mine.resends;
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Send { conversation, number, text } => {
                match self.driver.input(|session, now| session.send(now, conversation, text)) {
                    Ok(id) => _ = self.sent.insert(id, number),
                    Err(_) => self.shared.ledger.lock().unsent(),
                }
            }
            Command::Drain(answer) => self.draining.push(answer),
            Command::Sync(answer) => {
                self.syncing.push(answer);
                self.driver.input(gochat_client::Session::sync);
            }
            Command::Reconnect => self.driver.input(gochat_client::Session::reconnect),
        }
    }

    fn told(&mut self, event: Event) {
        let shared = &self.shared;
        match event {
            Event::Message(message) => {
                let Some((talk, reader)) = self.seats.get(&message.conversation_id) else { return };
                let number = shared.number(&message.text);
                let own = number.is_some() && self.driver.session().is_own(&message);
                shared.ledger.lock().delivered(*talk, *reader, message.seq, number, own, shared.now());
            }
            Event::Accepted { client_msg_id, .. } => {
                if let Some(number) = self.sent.get(&client_msg_id) {
                    shared.ledger.lock().accepted(*number, shared.now());
                }
            }
            Event::Committed(committed) => {
                if let Some(number) = self.sent.remove(&committed.client_msg_id) {
                    shared.ledger.lock().committed(number, committed.seq, shared.now());
                }
            }
            Event::Refused { client_msg_id, error, .. } => {
                *shared.last_trouble.lock() =
                    format!("a send was refused with {}: {}", error.code, error.text);
                if let Some(number) = self.sent.remove(&client_msg_id) {
                    shared.ledger.lock().refused(number);
                }
            }
            Event::Conversation(conversation) => {
                if let Some((talk, reader)) = self.seats.get(&conversation.conversation_id) {
                    shared.ledger.lock().listed(*talk, *reader, conversation.last_seq);
                }
            }
            Event::Connected { .. } => {
                shared.online.fetch_add(1, Relaxed);
                shared.welcomes.fetch_add(1, Relaxed);
                let now = u64::try_from(shared.now().as_micros()).unwrap_or(u64::MAX);
                shared.last_welcome_us.fetch_max(now, Relaxed);
                if let Some(lost_at) = self.lost_at.take() {
                    let outage = u64::try_from(lost_at.elapsed().as_micros()).unwrap_or(u64::MAX);
                    shared.reconnects.fetch_add(1, Relaxed);
                    shared.longest_outage_us.fetch_max(outage, Relaxed);
                }
                self.lost_at = None;
            }
            Event::Disconnected { code, .. } => {
                let trouble =
                    code.map_or_else(|| "a connection failed".into(), |c| format!("closed with {c}"));
                *shared.last_trouble.lock() = trouble;
                if self.driver.session().has_been_online() && self.lost_at.is_none() {
                    shared.online.fetch_sub(1, Relaxed);
                    self.lost_at = Some(Instant::now());
                }
            }
            Event::CaughtUp => answer(&mut self.syncing),
            Event::TokenNeeded { code } => {
                *shared.last_trouble.lock() = format!("a connection was refused for good with {code}");
            }
            Event::Error(error) => *shared.last_trouble.lock() = format!("{}: {}", error.code, error.text),
            _ => {}
        }
    }
}

fn answer(waiting: &mut Vec<oneshot::Sender<()>>) {
    for waiting in waiting.drain(..) {
        // Whoever asked may have given up.
        let _ = waiting.send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_its_message_and_has_its_size() {
        let shared = Shared::new(Ledger::new(&[]));
        let text = shared.text(77, 200);
        assert_eq!(text.len(), 200);
        assert_eq!(shared.number(&text), Some(77));
        assert_eq!(shared.number("hello there"), None);
        let other = Shared::new(Ledger::new(&[]));
        assert!(other.number(&text).is_none() || other.run == shared.run);
    }
}
