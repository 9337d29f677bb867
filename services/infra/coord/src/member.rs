//! Members: an entry each, under the lease of its process.

use std::sync::Arc;

use bytes::Bytes;
use gochat_core::{MemberId, Workload};
use tokio::sync::watch;
use tracing::warn;

use crate::CoordError;
use crate::derive::derive;
use crate::session::Session;
use crate::store::{Entry, Store, View, ViewReceiver};

/// One running process of a workload.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Member {
    /// Unique in its workload.
    pub id: MemberId,
    /// What it is one of.
    pub workload: Workload,
    /// `http://host:port` of its gRPC server.
    pub address: String,
    /// Owns no new slots and is not called; still there.
    pub draining: bool,
}

impl Member {
    fn key(&self) -> String {
        format!("{}{}", folder(self.workload), self.id)
    }

    fn encode(&self) -> Result<Bytes, CoordError> {
        serde_json::to_vec(self).map(Bytes::from).map_err(|e| CoordError::Unavailable {
            what: format!("encode member {}", self.id),
            reason: e.to_string(),
        })
    }
}

fn folder(workload: Workload) -> String {
    format!("members/{workload}/")
}

/// A member's entry; it goes when this is dropped.
pub struct Membership {
    session: Arc<Session>,
    key: String,
    token: parking_lot::Mutex<u64>,
}

impl Membership {
    /// Changes the entry (draining). Keeps its id and workload, whatever `member` says.
    ///
    /// # Errors
    /// None where the backend is away: the entry changes when it is back.
    pub async fn update(&self, member: Member) -> Result<(), CoordError> {
        self.write(&member).await
    }

    /// Removes the entry now.
    pub async fn leave(self) {
        self.session.forget(&self.key, *self.token.lock());
        // Where it fails, the keeper goes on trying.
        let _ = self.session.reconcile(&self.key, false).await;
    }

    async fn write(&self, member: &Member) -> Result<(), CoordError> {
        let value = member.encode()?;
        *self.token.lock() = self.session.own(&self.key, value).token;
        if let Err(error) = self.session.reconcile(&self.key, false).await {
            warn!(member = %member.id, %error, "the member is announced when coordination is back");
        }
        Ok(())
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.session.forget(&self.key, *self.token.lock());
    }
}

pub(crate) async fn join(session: Arc<Session>, member: &Member) -> Result<Membership, CoordError> {
    let membership = Membership { session, key: member.key(), token: parking_lot::Mutex::new(0) };
    membership.write(member).await?;
    Ok(membership)
}

pub(crate) fn view(store: &Store, workload: Workload) -> ViewReceiver {
    store.view(&folder(workload))
}

pub(crate) fn watch_members(store: &Store, workload: Workload) -> watch::Receiver<Arc<Vec<Member>>> {
    derive(view(store, workload), Arc::default(), |view, _| Some(Arc::new(read(view))))
}

/// By id, since the keys are.
pub(crate) fn read(view: &View) -> Vec<Member> {
    let parse = |(key, entry): (&String, &Entry)| match serde_json::from_slice(&entry.value) {
        Ok(member) => Some(member),
        Err(error) => {
            warn!(key, %error, "a member's entry can't be read and is left out");
            None
        }
    };
    view.entries.iter().filter_map(parse).collect()
}
