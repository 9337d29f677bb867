//! The leases of this process: an object each, renewed by a write.

use std::collections::HashMap;
use std::time::Duration;

use futures::TryStreamExt as _;
use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, PartialObjectMeta};
use parking_lot::Mutex;
use rand::RngExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::expiry::Sighting;
use super::object::{self, Owner};
use super::{Answer, Kubernetes, names};
use crate::store::{Entry, Lease, StoreError};

/// Keys deleted at once.
const PARALLEL: usize = 16;

pub(super) struct Sessions {
    ttl: Duration,
    mine: Mutex<HashMap<Lease, Mine>>,
    /// The lease that was renewed last; changes with every renewal.
    beat: watch::Sender<Lease>,
    /// For people: who holds what. In a pod, its name.
    holder: String,
}

struct Mine {
    uid: String,
    /// Before the request, so that it is over here before it is over anywhere.
    renewed: Instant,
}

impl Sessions {
    pub(super) fn new(ttl: Duration) -> Self {
        let holder = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
        Self {
            ttl,
            mine: Mutex::default(),
            beat: watch::Sender::new(0),
            holder: holder.unwrap_or_else(|| format!("process {}", std::process::id())),
        }
    }

    pub(super) fn beats(&self) -> watch::Receiver<Lease> {
        self.beat.subscribe()
    }

    pub(super) fn is_mine(&self, lease: Lease) -> bool {
        self.mine.lock().contains_key(&lease)
    }

    /// Whether something may be written under the lease, as far as this process can know.
    pub(super) fn check(&self, lease: Lease) -> Result<(), StoreError> {
        self.owner(lease).map(drop)
    }

    /// What a key under the lease refers to; `None` for the lease 0.
    pub(super) fn owner(&self, lease: Lease) -> Result<Option<Owner>, StoreError> {
        if lease == 0 {
            return Ok(None);
        }
        let mine = self.mine.lock();
        let session = mine.get(&lease).ok_or(StoreError::LeaseGone)?;
        if session.renewed.elapsed() >= self.ttl {
            return Err(StoreError::Away("the lease may be over: it could not be renewed in time".into()));
        }
        Ok(Some(Owner { lease, uid: session.uid.clone(), holder: self.holder.clone() }))
    }

    fn renewed(&self, lease: Lease, uid: String, at: Instant) {
        self.mine.lock().insert(lease, Mine { uid, renewed: at });
        self.beat.send_replace(lease);
    }
}

impl Kubernetes {
    pub(in super::super) async fn grant(&self, ttl: Duration) -> Result<Lease, StoreError> {
        let lease = rand::rng().random_range(1..Lease::MAX);
        let seconds = i32::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(i32::MAX).max(1);
        let (at, now) = (Instant::now(), MicroTime(Timestamp::now()));
        let object = LeaseObject {
            metadata: object::metadata(
                &self.names,
                &names::session_key(lease),
                &seconds.to_string(),
                String::new(),
            ),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.sessions.holder.clone()),
                lease_duration_seconds: Some(seconds),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        };
        match self.create(&object).await? {
            Answer::Done(created) => {
                self.sessions.renewed(lease, created.metadata.uid.unwrap_or_default(), at);
                Ok(lease)
            }
            Answer::Absent | Answer::Conflict => {
                Err(StoreError::Away("a lease of this number exists".into()))
            }
        }
    }

    pub(in super::super) async fn keep_alive(&self, lease: Lease) -> Result<(), StoreError> {
        if !self.sessions.is_mine(lease) {
            return Err(StoreError::LeaseGone);
        }
        let at = Instant::now();
        let renewal = LeaseObject {
            metadata: ObjectMeta {
                name: Some(self.names.object(&names::session_key(lease))),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec { renew_time: Some(MicroTime(Timestamp::now())), ..LeaseSpec::default() }),
        };
        match self.change(&renewal).await? {
            Answer::Done(renewed) => {
                self.sessions.renewed(lease, renewed.metadata.uid.unwrap_or_default(), at);
                Ok(())
            }
            Answer::Absent => {
                self.sessions.mine.lock().remove(&lease);
                Err(StoreError::LeaseGone)
            }
            Answer::Conflict => Err(StoreError::Away("the renewal was refused as a conflict".into())),
        }
    }

    pub(in super::super) async fn revoke(&self, lease: Lease) -> Result<(), StoreError> {
        // First here, so that nothing more is written under it.
        self.sessions.mine.lock().remove(&lease);
        let name = self.names.object(&names::session_key(lease));
        self.ask(self.leases.delete(&name, &DeleteParams::default())).await?;
        self.sweep(lease).await
    }

    /// Ends a session as it was seen; false where it has been renewed since.
    pub(super) async fn end(&self, seen: &Sighting) -> Result<bool, StoreError> {
        let key = names::session_key(seen.lease);
        if let Answer::Conflict = self.delete(&self.names.object(&key), seen.revision.to_string()).await? {
            return Ok(false);
        }
        self.sweep(seen.lease).await.map(|()| true)
    }

    /// Deletes the keys of a session that is over, each as it was seen.
    ///
    /// Not by `deletecollection`, which deletes by name what it has listed: where the garbage collector was faster and
    /// a new holder has created the key again, that one's would be gone.
    async fn sweep(&self, lease: Lease) -> Result<(), StoreError> {
        let keys = ListParams::default().labels(&self.names.under(lease));
        let Answer::Done(found) = self.ask(self.leases.list_metadata(&keys)).await? else { return Ok(()) };
        let delete = |found: PartialObjectMeta<LeaseObject>| async move {
            let ObjectMeta { name, resource_version, .. } = found.metadata;
            // Another version is another's by now.
            self.delete(&name.unwrap_or_default(), resource_version.unwrap_or_default()).await.map(drop)
        };
        futures::stream::iter(found.items.into_iter().map(Ok)).try_for_each_concurrent(PARALLEL, delete).await
    }

    /// Whether the key is under a session that is over.
    pub(super) async fn is_orphan(&self, entry: &Entry) -> Result<bool, StoreError> {
        if entry.lease == 0 {
            return Ok(false);
        }
        Ok(matches!(self.read(&names::session_key(entry.lease)).await?, Answer::Absent))
    }
}
