//! Ends the sessions of the dead. One process of a cluster does it, the holder of the key `reaper`; the others watch
//! that one's session, and take over from it when it is over.
//!
//! The claim saves work and nothing else: whoever has watched a session long enough may end it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info};

use super::expiry::{Expiry, Sighting};
use super::{Kubernetes, names};
use crate::store::{Lease, StoreError, ViewReceiver};

const ROLE: &str = "reaper";
/// Between two looks: hundreds of sessions are renewed in it, and what it adds to a TTL is little.
const PAUSE: Duration = Duration::from_millis(50);

struct Reaper {
    expiry: Expiry,
    role: ViewReceiver,
    /// What is watched, and the view of it: all sessions, or the reaper's.
    watched: Option<(String, ViewReceiver)>,
}

/// Until the store is dropped. `beats` are the renewals of this process, which show that renewals are possible.
pub(super) async fn run(store: Weak<Kubernetes>, mut beats: watch::Receiver<Lease>, ttl: Duration) {
    let Some(role) = store.upgrade().map(|store| store.view(ROLE)) else { return };
    let mut reaper = Reaper { expiry: Expiry::new(ttl), role, watched: None };
    loop {
        let beat = tokio::select! {
            beat = beats.changed() => match beat {
                Ok(()) => Some(*beats.borrow_and_update()),
                Err(_) => return,
            },
            () = reaper.woken() => None,
        };
        let Some(store) = store.upgrade() else { return };
        if let Err(error) = reaper.look(&store, beat).await {
            debug!(%error, "the sessions could not be looked at");
            reaper.expiry.restart();
        }
        drop(store);
        sleep(PAUSE).await;
    }
}

impl Reaper {
    /// Until there is something to look at.
    async fn woken(&mut self) {
        let wake_at = self.expiry.wake_at(Instant::now());
        let changed = async {
            match &mut self.watched {
                Some((_, view)) => drop(view.changed().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changed => {}
            () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {}
        }
    }

    async fn look(&mut self, store: &Arc<Kubernetes>, beat: Option<Lease>) -> Result<(), StoreError> {
        if beat.is_some() {
            self.expiry.beat(Instant::now());
        }
        let role = Arc::clone(&self.role.borrow());
        let reaper = role.entries.get(ROLE).map(|entry| entry.lease);
        let there = reaper.is_some_and(|reaper| self.see(store, reaper));
        if let (Some(lease), true, false) = (beat, role.known, there) {
            // Only after a beat, which are spread: all see it at the same time that there is no reaper any more.
            return store.put_if_absent(ROLE, names::session(lease).into(), lease).await.map(drop);
        }
        for session in self.expiry.over(Instant::now()) {
            if store.end(&session).await? {
                info!(session = names::session(session.lease), "a session was not renewed and is over");
                metrics::counter!("gochat_coord_sessions_ended_total").increment(1);
            }
            // Or it was renewed in the last moment.
            self.expiry.forget(session.lease);
        }
        Ok(())
    }

    /// Sees the sessions that are to be watched; false where the reaper's own is over.
    fn see(&mut self, store: &Arc<Kubernetes>, reaper: Lease) -> bool {
        let mine = store.sessions.is_mine(reaper);
        let what = if mine { names::SESSIONS.to_owned() } else { names::session_key(reaper) };
        if self.watched.as_ref().is_none_or(|(watched, _)| *watched != what) {
            let view = store.view(&what);
            self.watched = Some((what, view));
        }
        let Some((_, view)) = &mut self.watched else { return true };
        let view = Arc::clone(&view.borrow_and_update());
        if view.known {
            let sessions = view.entries.iter().filter_map(|(key, entry)| Sighting::of(key, entry));
            self.expiry.look(Instant::now(), sessions);
        }
        mine || !view.known || !view.entries.is_empty()
    }
}
