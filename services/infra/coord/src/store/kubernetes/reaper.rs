//! Ends the sessions of the dead. One process of a cluster does it, the holder of the key `reaper`; the others watch
//! that one's session, and take over from it when it is over.
//!
//! The claim saves work and nothing else: whoever has watched a session long enough may end it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info};

use super::expiry::{Expiry, Sighting};
use super::{Kubernetes, names};
use crate::store::{Lease, StoreError, ViewReceiver};

const ROLE: &str = "reaper";

struct Reaper {
    expiry: Expiry,
    role: ViewReceiver,
    /// The reaper's session, where the reaper is another.
    watched: Option<(Lease, ViewReceiver)>,
}

/// Looks after each renewal of this process, which shows that renewals are possible; until the store is dropped.
pub(super) async fn run(store: Weak<Kubernetes>, mut beats: watch::Receiver<Lease>, ttl: Duration) {
    let Some(role) = store.upgrade().map(|store| store.view(ROLE)) else { return };
    let mut reaper = Reaper { expiry: Expiry::new(ttl), role, watched: None };
    while beats.changed().await.is_ok() {
        let lease = *beats.borrow_and_update();
        let Some(store) = store.upgrade() else { return };
        if let Err(error) = reaper.look(&store, lease).await {
            debug!(%error, "the sessions could not be looked at");
            reaper.expiry.restart();
        }
    }
}

impl Reaper {
    async fn look(&mut self, store: &Arc<Kubernetes>, lease: Lease) -> Result<(), StoreError> {
        let role = Arc::clone(&self.role.borrow());
        let sessions = match role.entries.get(ROLE).map(|entry| entry.lease) {
            _ if !role.known => return Ok(()),
            Some(reaper) if store.sessions.is_mine(reaper) => {
                self.watched = None;
                store.list_sessions().await?
            }
            Some(reaper) => match self.watch(store, reaper) {
                Some(session) => session,
                None => return self.claim(store, lease).await,
            },
            None => return self.claim(store, lease).await,
        };
        for session in self.expiry.look(Instant::now(), sessions) {
            if store.end(&session).await? {
                info!(session = names::session(session.lease), "a session was not renewed and is over");
                metrics::counter!("gochat_coord_sessions_ended_total").increment(1);
            }
        }
        Ok(())
    }

    /// The session of another reaper; nothing where it is not known yet, `None` where it is over.
    fn watch(&mut self, store: &Arc<Kubernetes>, reaper: Lease) -> Option<Vec<Sighting>> {
        let key = names::session_key(reaper);
        if self.watched.as_ref().is_none_or(|(watched, _)| *watched != reaper) {
            self.watched = Some((reaper, store.view(&key)));
        }
        let view = Arc::clone(&self.watched.as_ref()?.1.borrow());
        match view.entries.get(&key) {
            None if view.known => None,
            session => Some(session.and_then(|entry| Sighting::of(&key, entry)).into_iter().collect()),
        }
    }

    async fn claim(&mut self, store: &Kubernetes, lease: Lease) -> Result<(), StoreError> {
        let value = Bytes::from(names::session(lease));
        store.put_if_absent(ROLE, value, lease).await.map(drop)
    }
}
