//! The Kubernetes API as a backend, so that pods need no etcd of their own.
//!
//! ```text
//! kubernetes   one Lease object a key: created where there is none, replaced only as it was read
//!  ├─ sessions     the lease of a process: a Lease object that it renews
//!  ├─ expiry       which sessions have not been renewed for too long: pure
//!  ├─ reaper       one process ends the sessions of the dead; the others watch that one
//!  ├─ names        key ↔ name and labels
//!  ├─ object       a key as an object, and back
//!  ├─ placement    the keys that are the operator's: GoChatPlacement
//!  ├─ follow       keeps a view current
//!  └─ client       the connection
//! ```
//!
//! # One object a key
//! A claim needs create-if-absent, and the API has it for objects only. All keys are `coordination.k8s.io` Leases: it
//! is the smallest kind with a holder, every cluster has it, and one rule of RBAC covers it. The value is an
//! annotation, so values are text. A key's owner is its session's object: where a session is deleted and its keys
//! are not (whoever deleted it died in between), the garbage collector deletes them, and a claimer that comes
//! earlier takes them over.
//!
//! # Who is dead
//! A session whose object was not renewed for its TTL, on the clock of the observer since it last saw it change (as
//! client-go's leader election has it): what time the renewer believes it is does not matter. If every process
//! watched every other's renewals, these would be n² events every third of a TTL; so one process, the *reaper*,
//! watches all sessions and deletes the dead, and the others watch the reaper's session and its only. A deletion is
//! conditional on the version that was judged, so that a renewal in the last moment wins, and a watch that hangs
//! costs nobody its lease. Two reapers at a time would do no harm.
//!
//! # While the API server is away
//! Nothing can be renewed, so nobody may be judged: a reaper judges only in an unbroken row of its own renewals, and
//! starts all its clocks again after a gap of half a TTL.
//!
//! # Caveats
//! - An object is not written under its lease in one transaction, as in etcd. A process writes keys only while its
//!   own clock says that its lease can't be over yet; what it writes just too late belongs to no session, and goes.
//! - Versions of objects are compared as numbers, which Kubernetes promises within one kind (KEP-5504).
//!
//! # Load
//! A process at rest writes every 0.27–0.33 TTL, 100 times a minute by default, and asks nothing else but its watches,
//! again every five minutes. A kubelet writes 6 times a minute, so that 60 pods are as much as a cluster of 1,000 nodes. Whoever has hundreds of pods sets
//! `lease_ttl` higher and learns of a death later.
//!
//! # RBAC
//! In the namespace, for each pod's ServiceAccount:
//!
//! | API group | resources | verbs |
//! | --- | --- | --- |
//! | coordination.k8s.io | leases | get, list, watch, create, patch, delete |
//! | gochat.io | gochatplacements | get, list, watch |
//!
//! Names can't be restricted: `create` and `list` know none. Whoever publishes a placement
//! (`gochat placement move`) needs create and patch on gochatplacements as well; pods don't.

mod client;
mod expiry;
mod follow;
mod names;
mod object;
mod placement;
mod reaper;
mod sessions;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use k8s_openapi::api::coordination::v1::Lease as LeaseObject;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};

use super::views::Views;
use super::{Entry, Lease, Put, StoreError, ViewReceiver};
use crate::KubernetesConfig;
use names::Names;
use object::Body;
use sessions::Sessions;

/// Attempts at one key against others who write it at the same time; each that fails is somebody's success.
const ATTEMPTS: u32 = 8;
/// Who wrote a field, as `kubectl get --show-managed-fields` says it.
const MANAGER: &str = "gochat";

pub(crate) struct Kubernetes {
    leases: Api<LeaseObject>,
    placements: Api<DynamicObject>,
    names: Arc<Names>,
    /// Of one call. Two that hang and one that doesn't fit into a lease's life.
    call_timeout: Duration,
    sessions: Sessions,
    views: Arc<Views>,
}

/// What the API server says to a call that it has understood.
enum Answer<T> {
    Done(T),
    /// There is no such object.
    Absent,
    /// It exists, where it was to be created; it is another version than the one expected, where it was to change.
    Conflict,
}

impl Kubernetes {
    /// Refuses only settings that can't be right; connects when first called.
    pub(crate) async fn connect(
        config: &KubernetesConfig,
        lease_ttl: Duration,
    ) -> Result<Arc<Self>, StoreError> {
        config.check().map_err(StoreError::Away)?;
        let call_timeout = lease_ttl / 3;
        let client = client::connect(config, lease_ttl).await.map_err(StoreError::Away)?;
        let namespace = client.default_namespace().to_owned();
        let store = Arc::new(Self {
            leases: Api::namespaced(client.clone(), &namespace),
            placements: Api::namespaced_with(client, &namespace, &placement::resource()),
            names: Arc::new(Names::new(&config.cluster)),
            call_timeout,
            sessions: Sessions::new(lease_ttl),
            views: Arc::default(),
        });
        tokio::spawn(reaper::run(Arc::downgrade(&store), store.sessions.beats(), lease_ttl));
        Ok(store)
    }

    /// One call about a key. Its limit is short, since a session's keeper waits for it between two beats.
    async fn ask<T>(
        &self,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<Answer<T>, StoreError> {
        Self::ask_within(self.call_timeout, call).await
    }

    async fn ask_within<T>(
        limit: Duration,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<Answer<T>, StoreError> {
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(value)) => Ok(Answer::Done(value)),
            Ok(Err(kube::Error::Api(status))) => match status.code {
                404 => Ok(Answer::Absent),
                409 => Ok(Answer::Conflict),
                code => Err(StoreError::Away(format!("{code} {}: {}", status.reason, status.message))),
            },
            Ok(Err(error)) => Err(StoreError::Away(client::reason(&error))),
            Err(_) => Err(StoreError::Away(format!("no answer in {limit:?}"))),
        }
    }

    async fn read(&self, key: &str) -> Result<Answer<LeaseObject>, StoreError> {
        self.ask(self.leases.get(&self.names.object(key))).await
    }

    async fn create(&self, object: &LeaseObject) -> Result<Answer<LeaseObject>, StoreError> {
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        match self.ask(self.leases.create(&params, object)).await? {
            Answer::Absent => Err(StoreError::Away("the namespace does not exist".into())),
            answer => Ok(answer),
        }
    }

    /// Changes an object that exists; where `object` has a version, only that one.
    async fn change(&self, object: &LeaseObject) -> Result<Answer<LeaseObject>, StoreError> {
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        let name = object.metadata.name.as_deref().unwrap_or_default();
        self.ask(self.leases.patch(name, &params, &Patch::Merge(object))).await
    }

    /// Deletes one version of an object.
    async fn delete(&self, name: &str, version: String) -> Result<Answer<()>, StoreError> {
        let preconditions = Preconditions { resource_version: Some(version), uid: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match self.ask(self.leases.delete(name, &params)).await? {
            Answer::Done(_) => Ok(Answer::Done(())),
            Answer::Absent => Ok(Answer::Absent),
            Answer::Conflict => Ok(Answer::Conflict),
        }
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        if let Some(workload) = placement::workload(key) {
            return self.get_placement(workload).await;
        }
        match self.read(key).await? {
            Answer::Done(found) => Ok(Some(object::entry(&found))),
            Answer::Absent | Answer::Conflict => Ok(None),
        }
    }

    pub(super) async fn put(&self, key: &str, value: Bytes, lease: Lease) -> Result<i64, StoreError> {
        if let Some(workload) = placement::workload(key) {
            return self.put_placement(workload, &value).await;
        }
        let object = self.body(key, &value, lease)?.object(None);
        for _ in 0..ATTEMPTS {
            let written = match self.change(&object).await? {
                Answer::Absent => self.create(&object).await?,
                answer => answer,
            };
            if let Answer::Done(written) = written {
                self.sessions.check(lease)?;
                return Ok(object::revision(&written.metadata));
            }
        }
        Err(contended(key))
    }

    pub(super) async fn put_if_absent(
        &self,
        key: &str,
        value: Bytes,
        lease: Lease,
    ) -> Result<Put, StoreError> {
        let body = self.body(key, &value, lease)?;
        for _ in 0..ATTEMPTS {
            let written = match self.create(&body.object(None)).await? {
                Answer::Conflict => match self.read(key).await? {
                    Answer::Done(found) => {
                        let entry = object::entry(&found);
                        if entry.lease == lease || !self.is_orphan(&entry).await? {
                            return Ok(Put::Held(entry));
                        }
                        self.change(&body.object(found.metadata.resource_version)).await?
                    }
                    answer => answer,
                },
                answer => answer,
            };
            if let Answer::Done(written) = written {
                self.sessions.check(lease)?;
                return Ok(Put::Done(object::revision(&written.metadata)));
            }
        }
        Err(contended(key))
    }

    pub(super) async fn compare_and_put(
        &self,
        key: &str,
        expected: Option<&Bytes>,
        value: Bytes,
    ) -> Result<bool, StoreError> {
        if let Some(workload) = placement::workload(key) {
            return self.compare_and_put_placement(workload, expected, &value).await;
        }
        let body = self.body(key, &value, 0)?;
        let Some(expected) = expected else {
            return Ok(matches!(self.create(&body.object(None)).await?, Answer::Done(_)));
        };
        for _ in 0..ATTEMPTS {
            let Answer::Done(found) = self.read(key).await? else { return Ok(false) };
            if object::entry(&found).value != *expected {
                return Ok(false);
            }
            // Another version may have the same value still.
            if let Answer::Done(_) = self.change(&body.object(found.metadata.resource_version)).await? {
                return Ok(true);
            }
        }
        Err(contended(key))
    }

    pub(super) async fn delete_under(&self, key: &str, lease: Lease) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let Answer::Done(found) = self.read(key).await? else { return Ok(()) };
            if object::entry(&found).lease != lease {
                return Ok(());
            }
            let version = found.metadata.resource_version.unwrap_or_default();
            if !matches!(self.delete(&self.names.object(key), version).await?, Answer::Conflict) {
                return Ok(());
            }
        }
        Err(contended(key))
    }

    pub(super) fn view(self: &Arc<Self>, what: &str) -> ViewReceiver {
        // Without the store itself: a view that is held by the store's own task must not keep it alive.
        self.views.open(what, |view| {
            let (views, names, key) = (Arc::clone(&self.views), Arc::clone(&self.names), what.to_owned());
            if let Some(workload) = placement::workload(what) {
                let named = format!("metadata.name={}", names.placement(workload));
                let watched = kube::runtime::watcher::Config::default().fields(&named);
                let read = move |found: &DynamicObject| Some((key.clone(), placement::entry(found)?));
                let (api, what) = (self.placements.clone(), what.to_owned());
                tokio::spawn(follow::follow(api, watched, read, what, views, view));
            } else {
                let read = |found: &LeaseObject| Some((object::key(found)?, object::entry(found)));
                let (api, watched) = (self.leases.clone(), names.selector(what));
                tokio::spawn(follow::follow(api, watched, read, key, views, view));
            }
        })
    }

    fn body<'a>(&'a self, key: &'a str, value: &'a Bytes, lease: Lease) -> Result<Body<'a>, StoreError> {
        let value = std::str::from_utf8(value)
            .map_err(|_| StoreError::Away(format!("{key}: the Kubernetes API keeps text only")))?;
        Ok(Body { names: &self.names, key, value, owner: self.sessions.owner(lease)? })
    }
}

fn contended(key: &str) -> StoreError {
    StoreError::Away(format!("{key} was written by others at each of {ATTEMPTS} attempts"))
}
