//! A session against a server that reorders, repeats and drops pushes and breaks connections at any moment.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use gochat_proto::client::server_frame::Frame as Server;
use gochat_proto::client::{
    Accepted, Committed, ServerFrame, Synced, Welcome, client_frame::Frame as Client,
};
use gochat_proto::types::Conversation;
use proptest::prelude::*;

use super::*;

const ME: u64 = 1;
const CHATS: [u64; 2] = [70, 71];
const PAGE: usize = 3;

/// What the world does next; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    WeSend(usize),
    OtherSends(usize),
    /// The server reads one frame of ours.
    ServerReads,
    /// An accepted send gets its place.
    Commit,
    /// One of the frames on the wire arrives, in any order.
    Deliver(usize),
    Repeat(usize),
    Lose(usize),
    Break,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..2usize).prop_map(Step::WeSend),
        4 => (0..2usize).prop_map(Step::OtherSends),
        6 => Just(Step::ServerReads),
        4 => Just(Step::Commit),
        9 => (0..8usize).prop_map(Step::Deliver),
        1 => (0..8usize).prop_map(Step::Repeat),
        2 => (0..8usize).prop_map(Step::Lose),
        1 => Just(Step::Break),
        4 => (0..3000u64).prop_map(Step::Pass),
    ]
}

struct World {
    session: Session,
    now: Duration,
    connected: bool,
    to_server: VecDeque<Client>,
    to_client: Vec<Server>,
    upstream: VecDeque<(u64, String, String)>,
    logs: HashMap<u64, Vec<Message>>,
    read: HashMap<u64, Vec<u64>>,
    committed: HashMap<String, u64>,
    sent: Vec<String>,
    caught_up: bool,
}

impl World {
    fn new() -> Self {
        let settings = Settings {
            endpoints: 1,
            first_endpoint: 0,
            access_token: "access".into(),
            device: String::new(),
            history: History::All,
            cursors: HashMap::new(),
            max_pending: 1000,
            seed: 5,
        };
        Self {
            session: Session::new(settings),
            now: Duration::ZERO,
            connected: false,
            to_server: VecDeque::new(),
            to_client: Vec::new(),
            upstream: VecDeque::new(),
            logs: CHATS.into_iter().map(|c| (c, Vec::new())).collect(),
            read: HashMap::new(),
            committed: HashMap::new(),
            sent: Vec::new(),
            caught_up: false,
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.session.next_action() {
            match action {
                Action::Connect { .. } => {
                    self.connected = true;
                    self.session.opened(self.now);
                }
                Action::Close { .. } => self.cut(),
                Action::Transmit(frame) if self.connected => self.to_server.push_back(frame.frame.unwrap()),
                Action::Emit(Event::Message(m)) => {
                    self.read.entry(m.conversation_id).or_default().push(m.seq);
                }
                Action::Emit(Event::Committed(c)) => {
                    assert!(self.committed.insert(c.client_msg_id, c.seq).is_none(), "committed twice");
                }
                Action::Emit(Event::CaughtUp) => self.caught_up = true,
                Action::Emit(Event::Hole { .. }) => panic!("nothing is ever deleted here"),
                Action::Transmit(_) | Action::Emit(_) => {}
            }
        }
    }

    fn cut(&mut self) {
        self.connected = false;
        self.to_server.clear();
        self.to_client.clear();
    }

    fn push(&mut self, frame: Server) {
        if self.connected {
            self.to_client.push(frame);
        }
    }

    /// Stores, once by `client_msg_id`; returns the seq.
    fn store(&mut self, conversation: u64, sender: u64, id: &str, text: &str) -> u64 {
        let log = self.logs.get_mut(&conversation).unwrap();
        if let Some(known) = log.iter().find(|m| m.sender_id == sender && m.client_msg_id == id) {
            return known.seq;
        }
        let seq = log.len() as u64 + 1;
        log.push(Message {
            conversation_id: conversation,
            seq,
            sender_id: sender,
            client_msg_id: id.into(),
            text: text.into(),
            ..Message::default()
        });
        seq
    }

    fn server_reads(&mut self) {
        match self.to_server.pop_front() {
            Some(Client::Hello(_)) => {
                self.push(Server::Welcome(Welcome { user_id: ME, ..Welcome::default() }));
            }
            Some(Client::Send(send)) => {
                self.upstream.push_back((send.conversation_id, send.client_msg_id.clone(), send.text));
                let (conversation_id, client_msg_id) = (send.conversation_id, send.client_msg_id);
                self.push(Server::Accepted(Accepted { conversation_id, client_msg_id }));
            }
            Some(Client::Sync(sync)) if sync.conversation_id == 0 => {
                // One head a page.
                let index = usize::from(!sync.page.is_empty());
                let conversation_id = CHATS[index];
                let last_seq = self.logs[&conversation_id].len() as u64;
                self.push(Server::Synced(Synced {
                    request_id: sync.request_id,
                    conversations: vec![Conversation {
                        conversation_id,
                        last_seq,
                        ..Conversation::default()
                    }],
                    next_page: if index == 0 { "second".into() } else { String::new() },
                    ..Synced::default()
                }));
            }
            Some(Client::Sync(sync)) => {
                let log = &self.logs[&sync.conversation_id];
                let rest = &log[usize::try_from(sync.after_seq.unwrap()).unwrap()..];
                let answer = Synced {
                    request_id: sync.request_id,
                    conversation_id: sync.conversation_id,
                    messages: rest.iter().take(PAGE).cloned().collect(),
                    more: rest.len() > PAGE,
                    last_seq: log.len() as u64,
                    ..Synced::default()
                };
                self.push(Server::Synced(answer));
            }
            _ => {}
        }
    }

    fn commit(&mut self) {
        if let Some((conversation_id, client_msg_id, text)) = self.upstream.pop_front() {
            let seq = self.store(conversation_id, ME, &client_msg_id, &text);
            self.push(Server::Committed(Committed {
                conversation_id,
                client_msg_id,
                seq,
                ..Committed::default()
            }));
        }
    }

    fn deliver(&mut self, n: usize) {
        if self.to_client.is_empty() {
            return;
        }
        // Nothing overtakes the welcome.
        let index =
            if matches!(self.to_client[0], Server::Welcome(_)) { 0 } else { n % self.to_client.len() };
        let frame = self.to_client.remove(index);
        self.session.received(self.now, ServerFrame { frame: Some(frame) });
    }

    /// Of the pushes on the wire, the nth: only they are ever lost or repeated.
    fn nth_push(&self, n: usize) -> Option<usize> {
        let is_push =
            |f: &Server| matches!(f, Server::Message(_) | Server::Committed(_) | Server::Accepted(_));
        let pushes: Vec<_> = (0..self.to_client.len()).filter(|i| is_push(&self.to_client[*i])).collect();
        pushes.get(n % pushes.len().max(1)).copied()
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::WeSend(chat) => {
                let id = self.session.send(self.now, CHATS[chat], "ours".into()).unwrap();
                self.sent.push(id);
            }
            Step::OtherSends(chat) => {
                let id = format!("other-{}", self.logs[&CHATS[chat]].len());
                let seq = self.store(CHATS[chat], 9, &id, "theirs");
                let message = self.logs[&CHATS[chat]][usize::try_from(seq).unwrap() - 1].clone();
                self.push(Server::Message(message));
            }
            Step::ServerReads => self.server_reads(),
            Step::Commit => self.commit(),
            Step::Deliver(n) => self.deliver(n),
            Step::Repeat(n) => {
                if let Some(index) = self.nth_push(n) {
                    self.to_client.push(self.to_client[index].clone());
                }
            }
            Step::Lose(n) => {
                if let Some(index) = self.nth_push(n) {
                    self.to_client.remove(index);
                }
            }
            Step::Break => {
                if self.connected {
                    self.cut();
                    self.session.closed(self.now, None);
                }
            }
            Step::Pass(ms) => {
                self.now += Duration::from_millis(ms);
                self.session.tick(self.now);
            }
        }
        self.act();
    }

    /// The world is kind from here on.
    fn heal(&mut self) {
        for round in 0..10_000 {
            if round == 500 {
                // What was lost in silence: this is what a sync_required or the next welcome does.
                self.caught_up = false;
                self.session.sync(self.now);
                self.act();
            }
            if round > 500 && self.caught_up && self.session.is_outbox_empty() {
                return;
            }
            for step in [Step::ServerReads, Step::Commit, Step::Deliver(0), Step::Pass(20)] {
                self.step(&step);
            }
        }
        panic!("it never caught up");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_reader_gets_every_seq_once_in_order_and_every_send_is_stored_once(
        steps in prop::collection::vec(step(), 0..200)
    ) {
        let mut world = World::new();
        world.step(&Step::Pass(0));
        for step in &steps {
            world.step(step);
            for read in world.read.values() {
                prop_assert!(read.iter().copied().eq(1..=read.len() as u64), "out of order: {read:?}");
            }
        }
        world.heal();
        for (chat, log) in &world.logs {
            let read = world.read.get(chat).map_or(0, Vec::len);
            prop_assert_eq!(read, log.len(), "messages of {} that the reader got", chat);
        }
        for id in &world.sent {
            let stored: Vec<_> = world.logs.values().flatten().filter(|m| &m.client_msg_id == id).collect();
            prop_assert_eq!(stored.len(), 1, "{}", id);
            prop_assert_eq!(world.committed.get(id), Some(&stored[0].seq));
        }
    }
}
