//! The users of one shard that are connected here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use gochat_proto::gateway::{AttachShard, EdgeMessage, edge_message::Message};
use tokio::sync::oneshot;

use super::connection::Connection;
use super::link::HomeLink;
use crate::clock::Millis;
use crate::ws::rate::Bucket;

/// Everything this edge knows about one shard; behind one lock.
#[derive(Default)]
pub(crate) struct EdgeShard {
    pub(super) users: HashMap<u64, UserSessions>,
    /// Users of the shard whose presence connections here (of any shard) watch.
    pub(super) watched: HashMap<u64, Watched>,
    /// Users whose attachment the current home has not confirmed yet.
    pub(super) waiting: HashMap<u64, Waiting>,
    /// The homes told about this shard; the last is the current one, others have not let go yet.
    pub(super) homes: Vec<Attachment>,
    /// Pushes may have been lost since the last confirmed attachment: tell the sessions when there is one again.
    pub(super) interrupted: bool,
    pub(super) next_request: u64,
}

/// One user's connections here.
pub(super) struct UserSessions {
    pub(super) connections: Vec<Arc<Connection>>,
    pub(super) bucket: Bucket,
}

/// A watched user.
#[derive(Default)]
pub(super) struct Watched {
    pub(super) watchers: Vec<Arc<Connection>>,
    /// As the watchers were told last.
    pub(super) online: Option<bool>,
    /// The home says that they went: when the watchers are told.
    pub(super) leaving: Option<Millis>,
}

/// An attachment that was asked for.
pub(super) struct Waiting {
    pub(super) request: u64,
    pub(super) sessions: Vec<(Arc<Connection>, oneshot::Sender<bool>)>,
}

/// A home that was told about the shard.
pub(super) struct Attachment {
    pub(super) link: Arc<HomeLink>,
    /// It answered on the stream that is open now.
    pub(super) confirmed: bool,
    /// It gave the shard up while we still took it for the owner.
    pub(super) released: bool,
    /// Since when another one is current.
    pub(super) replaced: Option<Instant>,
}

impl Attachment {
    pub(super) fn new(link: Arc<HomeLink>) -> Self {
        Self { link, confirmed: false, released: false, replaced: None }
    }
}

impl EdgeShard {
    pub(super) fn connections(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.users.values().flat_map(|user| &user.connections)
    }

    /// The home that should be asked.
    pub(super) fn current(&self) -> Option<&Attachment> {
        self.homes.last()
    }

    pub(super) fn is_current(&self, link: &Arc<HomeLink>) -> bool {
        self.current().is_some_and(|home| Arc::ptr_eq(&home.link, link))
    }

    pub(super) fn attachment(&mut self, link: &Arc<HomeLink>) -> Option<&mut Attachment> {
        self.homes.iter_mut().find(|home| Arc::ptr_eq(&home.link, link))
    }

    /// Tells every home.
    pub(super) fn tell(&self, message: &Message) {
        for home in &self.homes {
            home.link.send(EdgeMessage { message: Some(message.clone()) });
        }
    }

    /// All there is to know, for a home that starts with it.
    pub(super) fn snapshot(&self, shard: u32, epoch: u64) -> EdgeMessage {
        EdgeMessage {
            message: Some(Message::AttachShard(AttachShard {
                shard,
                epoch,
                user_ids: self.users.keys().copied().collect(),
                watched_user_ids: self.watched.keys().copied().collect(),
            })),
        }
    }
}
