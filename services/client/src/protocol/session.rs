//! The state machine of one client: it has the cursors, the pending sends and the state of the connection.
//!
//! # Guarantees
//! - The reader gets every message of every conversation once and by rising seq, whatever is pushed twice, late or never.
//! - A sent message is sent again, with the same `client_msg_id`, on each new connection until it is committed or refused.
//! - Memory is bounded: pending sends by [`Settings::max_pending`], early messages per conversation, syncs in flight.
//!
//! # Assumptions
//! - Actions are performed in their order; time never steps back.

mod frames;
#[cfg(test)]
mod model;
#[cfg(test)]
mod transcripts;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use gochat_proto::client::{
    ClientFrame, Error, Hello, Limits, Ping, ReadUpTo, Send, StartTyping, Sync, WatchPresence,
    client_frame::Frame,
};
use gochat_proto::types::Message;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::backoff;
use super::close::{Advice, advice};
use super::event::{Action, Event};
use super::inbox::Line;
use super::outbox::{Outbox, OutboxFull};
use super::syncs::{Syncs, Want};

/// Time for a connection from its start to its welcome.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A connection that lived this long was good: the next back-off starts from its base.
const GOOD_CONNECTION: Duration = Duration::from_secs(10);
/// Where a message has no answer for this time and nothing else was heard, the server is pinged; where a message waits,
/// and the ping has no answer for this time either, the connection is left.
const ANSWER_SOON: Duration = Duration::from_secs(5);
/// Where the welcome names none.
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(30);

/// Which messages a reader without cursors gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum History {
    /// Only what comes after the first sync; all of conversations that are new since.
    #[default]
    New,
    /// Everything from seq 1.
    All,
}

/// What one session is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many endpoints there are; at least 1.
    pub endpoints: usize,
    /// The endpoint to try first.
    pub first_endpoint: usize,
    /// Proves who we are until a resume token does.
    pub access_token: String,
    /// For people: "Firefox on Linux"; at most 64 bytes.
    pub device: String,
    /// Which messages to get of conversations without a cursor.
    pub history: History,
    /// What the reader has already, by conversation: the last seq.
    pub cursors: HashMap<u64, u64>,
    /// Most sends that may wait to be committed; 1 to 10,000.
    pub max_pending: usize,
    /// Of jitter and of `client_msg_id`s: must be random, and another one in each process.
    pub seed: u64,
}

/// Counters since the session's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Pushes that the reader had already. Not an error: delivery is at-least-once on the way.
    pub duplicates: u64,
    /// Pushes that came before their turn.
    pub early: u64,
    /// Pages of history that were asked to fill gaps.
    pub gap_syncs: u64,
    /// Sends that went more than once.
    pub resends: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Until a time, then connect.
    Waiting { until: Duration },
    /// The socket is being opened.
    Connecting { until: Duration },
    /// Hello is sent.
    Greeting { until: Duration },
    /// Welcomed.
    Online { since: Duration },
    /// No token is taken.
    NeedsToken,
    /// Stopped for good.
    Stopped,
}

/// See the module.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub struct Session {
    settings: Settings,
    rng: SmallRng,
    phase: Phase,
    endpoint: usize,
    failures: u32,
    resume_token: String,
    /// The hello of this connection carried the resume token.
    resuming: bool,
    /// Of `going_away`, or of the error that refused the hello.
    retry_after: Option<Duration>,
    last_error: Option<String>,
    user_id: u64,
    limits: Limits,
    heartbeat: Duration,
    heard: Duration,
    /// Since when a ping of ours has no answer.
    pinged: Option<Duration>,
    lines: HashMap<u64, Line>,
    /// All heads have been seen once: a conversation that turns up now is new.
    listed: bool,
    announce: bool,
    outbox: Outbox,
    sent_count: u64,
    watched: Vec<u64>,
    syncs: Syncs,
    stats: Stats,
    actions: VecDeque<Action>,
}

impl Session {
    /// Starts with a connect.
    pub fn new(settings: Settings) -> Self {
        let endpoints = settings.endpoints.max(1);
        Self {
            rng: SmallRng::seed_from_u64(settings.seed),
            phase: Phase::Waiting { until: Duration::ZERO },
            endpoint: settings.first_endpoint % endpoints,
            failures: 0,
            resume_token: String::new(),
            resuming: false,
            retry_after: None,
            last_error: None,
            user_id: 0,
            limits: Limits::default(),
            heartbeat: DEFAULT_HEARTBEAT,
            heard: Duration::ZERO,
            pinged: None,
            lines: settings.cursors.iter().map(|(id, seq)| (*id, Line::starting_after(*seq))).collect(),
            listed: false,
            announce: false,
            outbox: Outbox::new(settings.max_pending),
            sent_count: 0,
            watched: Vec::new(),
            syncs: Syncs::default(),
            stats: Stats::default(),
            actions: VecDeque::new(),
            settings,
        }
    }

    /// The next thing to do; drain it after each input.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When `tick` wants to be called at the latest.
    pub fn deadline(&self, now: Duration) -> Option<Duration> {
        match self.phase {
            Phase::Waiting { until } | Phase::Connecting { until } | Phase::Greeting { until } => Some(until),
            Phase::NeedsToken | Phase::Stopped => None,
            Phase::Online { .. } => {
                let silence = self.pinged.map_or_else(|| self.ping_at(), |since| self.leave_at(since));
                [Some(silence), self.syncs.deadline(), self.outbox.deadline(now)].into_iter().flatten().min()
            }
        }
    }

    /// Whether the server has welcomed this connection.
    pub fn is_online(&self) -> bool {
        matches!(self.phase, Phase::Online { .. })
    }

    /// Whether the server has ever welcomed this session.
    pub fn has_been_online(&self) -> bool {
        self.user_id != 0
    }

    /// Whether we (on this or another device) sent a message.
    pub fn is_own(&self, message: &Message) -> bool {
        message.sender_id == self.user_id
    }

    /// Whether nothing that was sent waits to be committed.
    pub fn is_outbox_empty(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// What the reader has: the last seq by conversation. Give it back as [`Settings::cursors`].
    pub fn cursors(&self) -> impl Iterator<Item = (u64, u64)> {
        self.lines.iter().map(|(id, line)| (*id, line.delivered()))
    }

    /// Sends a text; returns the `client_msg_id` that events name it by.
    pub fn send(&mut self, now: Duration, conversation: u64, text: String) -> Result<String, OutboxFull> {
        self.sent_count += 1;
        let client_msg_id = format!("{:x}-{:x}", self.settings.seed, self.sent_count);
        self.outbox.push(conversation, client_msg_id.clone(), text)?;
        self.pump(now);
        Ok(client_msg_id)
    }

    /// Moves the read cursor. Lost where there is no connection: the next call carries it.
    pub fn mark_read(&mut self, conversation: u64, seq: u64) {
        self.transmit_if_online(Frame::Read(ReadUpTo { conversation_id: conversation, seq }));
    }

    /// Says that the user is typing; at most every few seconds, please.
    pub fn typing(&mut self, conversation: u64) {
        self.transmit_if_online(Frame::Typing(StartTyping { conversation_id: conversation }));
    }

    /// Replaces the set of users whose presence is wanted; kept over reconnects.
    pub fn watch(&mut self, users: Vec<u64>) {
        self.watched.clone_from(&users);
        self.transmit_if_online(Frame::Presence(WatchPresence { user_ids: users }));
    }

    /// Syncs now; `CaughtUp` tells when all is there.
    pub fn sync(&mut self, now: Duration) {
        self.announce = true;
        self.syncs.want_heads(now);
        self.pump(now);
    }

    /// A new access token, after `TokenNeeded` or before the old one runs out.
    pub fn set_token(&mut self, now: Duration, access_token: String) {
        self.settings.access_token = access_token;
        if self.phase == Phase::NeedsToken {
            self.phase = Phase::Waiting { until: now };
            self.tick(now);
        }
    }

    /// Drops the connection and opens another at once: the network changed, or a test wants it.
    pub fn reconnect(&mut self, now: Duration) {
        if matches!(self.phase, Phase::NeedsToken | Phase::Stopped) {
            return;
        }
        if !matches!(self.phase, Phase::Waiting { .. }) {
            self.actions.push_back(Action::Close { code: 1000 });
            self.lost(now, None, Some(Duration::ZERO));
        }
        self.phase = Phase::Waiting { until: now };
        self.tick(now);
    }

    /// Closes for good.
    pub fn stop(&mut self) {
        self.phase = Phase::Stopped;
        self.actions.push_back(Action::Close { code: 1000 });
    }

    /// The socket is open.
    pub fn opened(&mut self, now: Duration) {
        let Phase::Connecting { until } = self.phase else { return };
        self.phase = Phase::Greeting { until };
        self.heard = now;
        self.resuming = !self.resume_token.is_empty();
        let (access_token, resume_token) = if self.resuming {
            (String::new(), self.resume_token.clone())
        } else {
            (self.settings.access_token.clone(), String::new())
        };
        self.transmit(Frame::Hello(Hello {
            access_token,
            resume_token,
            device: self.settings.device.clone(),
        }));
    }

    /// The server's end is alive (a WebSocket ping, say).
    pub fn heard(&mut self, now: Duration) {
        self.heard = now;
        self.pinged = None;
    }

    /// The socket is gone, or could not be opened.
    pub fn closed(&mut self, now: Duration, code: Option<u16>) {
        if matches!(self.phase, Phase::Waiting { .. } | Phase::NeedsToken | Phase::Stopped) {
            return;
        }
        let advice = advice(code, self.last_error.as_deref());
        let error = self.last_error.clone();
        let retry_after = self.retry_after.unwrap_or_default();
        let rng = &mut self.rng;
        let usual = backoff::delay(rng, self.failures);
        let retry_in = match advice {
            Advice::Reconnect => Some(usual.max(backoff::within(rng, retry_after))),
            Advice::ReconnectSpread => Some(backoff::within(rng, retry_after)),
            Advice::ReconnectLate => Some(backoff::within(rng, backoff::CAP).max(retry_after)),
            // The access token has not been refused yet.
            Advice::NewToken if self.resuming || !self.resume_token.is_empty() => Some(usual),
            Advice::NewToken | Advice::LogIn => None,
        };
        // A resume token that was refused is not shown again; one that was not shown may still be good.
        if self.resuming && !self.is_online() && advice == Advice::NewToken {
            self.resume_token.clear();
        }
        if advice == Advice::LogIn {
            self.resume_token.clear();
        }
        self.lost(now, code, retry_in);
        if retry_in.is_none() {
            let code = error.unwrap_or_else(|| "unauthenticated".into());
            self.emit(Event::TokenNeeded { code });
        }
    }

    /// Time passed; call at [`Self::deadline`].
    pub fn tick(&mut self, now: Duration) {
        match self.phase {
            Phase::Waiting { until } if until <= now => {
                self.phase = Phase::Connecting { until: now + CONNECT_WITHIN };
                self.retry_after = None;
                self.last_error = None;
                self.actions.push_back(Action::Connect { endpoint: self.endpoint });
            }
            Phase::Connecting { until } | Phase::Greeting { until } if until <= now => {
                self.give_up(now, 4001);
            }
            Phase::Online { .. } => {
                match self.pinged {
                    Some(since) if self.leave_at(since) <= now => return self.give_up(now, 4009),
                    None if self.ping_at() <= now => {
                        self.pinged = Some(now);
                        self.transmit(Frame::Ping(Ping { nonce: 1 }));
                    }
                    _ => {}
                }
                self.outbox.requeue_unanswered(now);
                self.syncs.requeue_unanswered(now);
                self.pump(now);
            }
            _ => {}
        }
    }

    /// When the server is asked whether it is there.
    fn ping_at(&self) -> Duration {
        let idle = self.heard + self.heartbeat;
        self.waiting_since().map_or(idle, |since| idle.min(since + ANSWER_SOON))
    }

    /// When a server that was pinged at `since` and says nothing is taken for gone.
    fn leave_at(&self, since: Duration) -> Duration {
        let idle = self.heard + 2 * self.heartbeat;
        self.waiting_since().map_or(idle, |waiting| idle.min(since.max(waiting) + ANSWER_SOON))
    }

    /// Since when a message waits for its answer and nothing else was heard either.
    fn waiting_since(&self) -> Option<Duration> {
        self.outbox.unanswered().map(|sent| sent.max(self.heard))
    }

    fn give_up(&mut self, now: Duration, code: u16) {
        self.actions.push_back(Action::Close { code });
        let retry_in = backoff::delay(&mut self.rng, self.failures);
        self.lost(now, None, Some(retry_in));
    }

    fn lost(&mut self, now: Duration, code: Option<u16>, retry_in: Option<Duration>) {
        if let Phase::Online { since } = self.phase
            && now.saturating_sub(since) >= GOOD_CONNECTION
        {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.endpoint = (self.endpoint + 1) % self.settings.endpoints.max(1);
        self.syncs.clear();
        self.phase = retry_in.map_or(Phase::NeedsToken, |wait| Phase::Waiting { until: now + wait });
        self.emit(Event::Disconnected { code, retry_in });
    }

    /// Sends what may be sent now: messages at their pace, syncs that are due.
    fn pump(&mut self, now: Duration) {
        if !self.is_online() {
            return;
        }
        let max_text = self.limits.max_text_bytes as usize;
        while let Some(pending) = self.outbox.next(now) {
            // Sent, it would close the connection, and again after each reconnect.
            if max_text > 0 && pending.text.len() > max_text {
                let (conversation, client_msg_id) = (pending.conversation, pending.client_msg_id.clone());
                let error = text_too_large(pending.text.len(), max_text);
                self.outbox.remove(&client_msg_id);
                self.emit(Event::Refused { conversation, client_msg_id, error });
                continue;
            }
            let frame = Frame::Send(Send {
                conversation_id: pending.conversation,
                client_msg_id: pending.client_msg_id.clone(),
                text: pending.text.clone(),
            });
            self.transmit(frame);
        }
        while let Some(want) = self.syncs.next(now) {
            let mut sync = Sync { limit: self.limits.max_sync_messages, ..Sync::default() };
            let mut head = 0;
            match &want {
                Want::Heads { page } => {
                    sync.page.clone_from(page);
                    sync.limit = 0;
                }
                Want::Gap { conversation } => {
                    let Some(line) = self.lines.get(conversation) else { continue };
                    sync.conversation_id = *conversation;
                    sync.after_seq = Some(line.delivered());
                    head = line.head();
                    self.stats.gap_syncs += 1;
                }
            }
            sync.request_id = self.syncs.asked(want, head, now);
            self.transmit(Frame::Sync(sync));
        }
        if self.announce && self.listed && self.syncs.is_idle() {
            self.announce = false;
            self.emit(Event::CaughtUp);
        }
    }

    fn transmit(&mut self, frame: Frame) {
        self.actions.push_back(Action::Transmit(ClientFrame { frame: Some(frame) }));
    }

    fn transmit_if_online(&mut self, frame: Frame) {
        if self.is_online() {
            self.transmit(frame);
        }
    }

    fn emit(&mut self, event: Event) {
        self.actions.push_back(Action::Emit(event));
    }
}

fn text_too_large(bytes: usize, max: usize) -> Error {
    Error {
        code: "text_too_large".into(),
        text: format!("the text has {bytes} bytes, at most {max} are allowed"),
        fix: "send it in parts".into(),
        ..Error::default()
    }
}
