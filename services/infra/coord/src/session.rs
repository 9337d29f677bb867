//! One lease and the keys under it. What this process wants to hold is written down here first; `reconcile` makes
//! the backend agree, at once where somebody waits for it and from the keeper's loop ever after: when the lease was
//! lost, when the backend was away, when a claim was dropped.

mod keeper;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::store::{Entry, Lease, Put, Store, StoreError};

/// Keys are written by one task at a time each; this many can be written at once.
const STRIPES: usize = 32;

/// Ends, with all its keys, when the last handle is dropped.
pub(crate) struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    ttl: Duration,
    /// The one that keys go under now; `None` before the first and while a lost one is being replaced.
    lease: watch::Sender<Option<Lease>>,
    keys: Mutex<HashMap<String, Key>>,
    stripes: [tokio::sync::Mutex<()>; STRIPES],
    hasher: RandomState,
    last_token: AtomicU64,
    /// A key differs from what the backend has, or the lease is gone.
    wake: Notify,
    stop: CancellationToken,
    /// In tests: stop as a killed process does, without a word.
    abandoned: AtomicBool,
}

/// What this session wants a key to be.
struct Key {
    /// Changes whenever the wish does, so that the end of an older write can't be taken for that of the newer.
    token: u64,
    /// `None`: to be deleted.
    value: Option<Bytes>,
    kind: Kind,
    /// The lease under which the backend has the value; anything but the current one means: write it.
    written: Option<Lease>,
    lost: watch::Sender<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Ours alone by its name: written over whatever is there.
    Own,
    /// Not yet got: only its claimer writes it, never the keeper.
    Wanted,
    /// Once got: written again where nobody else took it meanwhile.
    Held,
}

/// A key that was written down; its end is `forget`.
#[derive(Clone)]
pub(crate) struct Ticket {
    pub(crate) token: u64,
    pub(crate) lost: watch::Receiver<bool>,
}

pub(crate) enum Outcome {
    /// The backend has it, at this revision (0 where it had it before).
    Written(i64),
    Held(Entry),
    /// There is nothing to be done.
    Gone,
}

impl Session {
    pub(crate) fn start(store: Store, ttl: Duration) -> Arc<Self> {
        // Alerts on rates have to see the zero before the first of each.
        metrics::counter!("gochat_coord_leases_lost_total").increment(0);
        metrics::counter!("gochat_coord_claims_lost_total").increment(0);
        metrics::counter!("gochat_coord_beats_failed_total").increment(0);
        let inner = Arc::new(Inner {
            store,
            ttl,
            lease: watch::Sender::new(None),
            keys: Mutex::default(),
            stripes: [const { tokio::sync::Mutex::const_new(()) }; STRIPES],
            hasher: RandomState::new(),
            last_token: AtomicU64::new(0),
            wake: Notify::new(),
            stop: CancellationToken::new(),
            abandoned: AtomicBool::new(false),
        });
        tokio::spawn(keeper::keep(Arc::clone(&inner)));
        Arc::new(Self { inner })
    }

    /// Writes down a key that is ours by its name, in place of its former value.
    pub(crate) fn own(&self, key: &str, value: Bytes) -> Ticket {
        self.inner.set(key, value, Kind::Own)
    }

    /// Writes down a key that is wanted; `None` where this session wants or holds it already.
    pub(crate) fn want(&self, key: &str, value: Bytes) -> Option<Ticket> {
        let taken = self.inner.keys.lock().get(key).is_some_and(|k| k.value.is_some());
        (!taken).then(|| self.inner.set(key, value, Kind::Wanted))
    }

    /// Makes the backend agree on one key, now. With `force`, a wanted key is taken from its holder.
    ///
    /// Cancel-safe: it runs to its end, so that a key can't be written for a claimer that has gone.
    pub(crate) async fn reconcile(&self, key: &str, force: bool) -> Result<Outcome, StoreError> {
        let inner = Arc::clone(&self.inner);
        let key = key.to_owned();
        let task = tokio::spawn(async move {
            inner.await_lease().await?;
            inner.reconcile(&key, force).await
        });
        task.await.unwrap_or_else(|e| Err(StoreError::Away(e.to_string())))
    }

    /// Writes down that the key shall go, unless the wish has changed; the keeper does it soon.
    pub(crate) fn forget(&self, key: &str, token: u64) {
        let mut keys = self.inner.keys.lock();
        if let Some(wish) = keys.get_mut(key).filter(|k| k.token == token) {
            wish.value = None;
            drop(keys);
            self.inner.wake.notify_one();
        }
    }

    /// Before another attempt at a claim that looked free and could not be had.
    pub(crate) fn claim_retry(&self) -> Duration {
        self.inner.store.claim_retry()
    }

    /// Ends like a process that is killed: no word to the backend. Where leases don't expire by themselves, at once.
    pub(crate) async fn abandon(&self) {
        self.inner.abandoned.store(true, Ordering::Relaxed);
        self.inner.stop.cancel();
        if matches!(self.inner.store, Store::InProcess(_)) {
            self.expire().await;
        }
    }

    /// Lets the backend end the lease, as after a partition longer than the TTL.
    pub(crate) async fn expire(&self) {
        let lease = *self.inner.lease.borrow();
        if let Some(lease) = lease {
            let _ = self.inner.store.revoke(lease).await;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.inner.stop.cancel();
    }
}

impl Inner {
    fn set(&self, key: &str, value: Bytes, kind: Kind) -> Ticket {
        let token = self.last_token.fetch_add(1, Ordering::Relaxed) + 1;
        let (lost, receiver) = watch::channel(false);
        self.keys.lock().insert(key.to_owned(), Key { token, value: Some(value), kind, written: None, lost });
        Ticket { token, lost: receiver }
    }

    /// The keys that the keeper has to see to.
    fn unsettled(&self) -> Vec<String> {
        let lease = *self.lease.borrow();
        let settled = |k: &Key| {
            k.value.is_some() && (k.kind == Kind::Wanted || (k.written.is_some() && k.written == lease))
        };
        self.keys.lock().iter().filter(|(_, k)| !settled(k)).map(|(name, _)| name.clone()).collect()
    }

    async fn reconcile(&self, key: &str, force: bool) -> Result<Outcome, StoreError> {
        let stripe = usize::try_from(self.hasher.hash_one(key) % STRIPES as u64).unwrap_or_default();
        let _writing = match self.stripes.get(stripe) {
            Some(stripe) => Some(stripe.lock().await),
            None => None,
        };
        let Some((token, value, kind, written)) =
            self.keys.lock().get(key).map(|k| (k.token, k.value.clone(), k.kind, k.written))
        else {
            return Ok(Outcome::Gone);
        };
        let lease = (*self.lease.borrow()).ok_or(StoreError::LeaseGone)?;
        let result = match value {
            None => self.delete(key, token, written.unwrap_or(lease)).await,
            Some(_) if written == Some(lease) => Ok(Outcome::Written(0)),
            Some(value) => self.write(key, token, value, kind, lease, force).await,
        };
        if matches!(result, Err(StoreError::LeaseGone)) {
            self.lease_is_gone(lease);
        }
        result
    }

    async fn write(
        &self,
        key: &str,
        token: u64,
        value: Bytes,
        kind: Kind,
        lease: Lease,
        force: bool,
    ) -> Result<Outcome, StoreError> {
        let put = if kind == Kind::Own || force {
            Put::Done(self.store.put(key, value, lease).await?)
        } else {
            match self.store.put_if_absent(key, value.clone(), lease).await? {
                // A write of ours whose answer was lost, or a claim that was dropped and is not yet deleted.
                Put::Held(entry) if entry.lease == lease => {
                    Put::Done(self.store.put(key, value, lease).await?)
                }
                put => put,
            }
        };
        let mut keys = self.keys.lock();
        match put {
            Put::Done(revision) => {
                if let Some(k) = keys.get_mut(key).filter(|k| k.token == token) {
                    k.written = Some(lease);
                    if k.kind == Kind::Wanted {
                        k.kind = Kind::Held;
                    }
                }
                Ok(Outcome::Written(revision))
            }
            Put::Held(entry) => {
                if keys.get(key).is_some_and(|k| k.token == token)
                    && let Some(k) = keys.remove(key)
                    && k.kind == Kind::Held
                {
                    tracing::warn!(key, "a claim was lost: it was taken while this lease was over");
                    metrics::counter!("gochat_coord_claims_lost_total").increment(1);
                    k.lost.send_replace(true);
                }
                Ok(Outcome::Held(entry))
            }
        }
    }

    async fn delete(&self, key: &str, token: u64, lease: Lease) -> Result<Outcome, StoreError> {
        self.store.delete_under(key, lease).await?;
        let mut keys = self.keys.lock();
        if keys.get(key).is_some_and(|k| k.token == token && k.value.is_none()) {
            keys.remove(key);
        }
        Ok(Outcome::Gone)
    }

    /// Waits, no longer than a call may take, for the keeper to have one.
    async fn await_lease(&self) -> Result<(), StoreError> {
        let mut lease = self.lease.subscribe();
        match tokio::time::timeout(self.ttl / 2, lease.wait_for(Option::is_some)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(StoreError::Away("no lease could be had yet".into())),
        }
    }

    fn lease_is_gone(&self, lease: Lease) {
        let ended = self.lease.send_if_modified(|current| {
            let ended = *current == Some(lease);
            if ended {
                *current = None;
            }
            ended
        });
        if ended {
            tracing::warn!(lease, "the lease is over; a new one is taken and everything is written again");
            metrics::counter!("gochat_coord_leases_lost_total").increment(1);
            self.wake.notify_one();
        }
    }
}
