//! What a service calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gochat_core::{MemberId, Placement, SlotCount, Workload};
use tokio::sync::watch;

use crate::claim::{self, Claim};
use crate::derive::derive;
use crate::member::{self, Member, Membership};
use crate::session::Session;
use crate::store::{Etcd, InProcess, Kubernetes, Store};
use crate::{CoordConfig, CoordError, Owners, Ownership, owners, placement};

/// Cheap to clone. One per process; in dev each member of the process gets its own `session()`.
#[derive(Clone)]
#[must_use]
pub struct Coord {
    store: Store,
    session: Arc<Session>,
    config: Arc<CoordConfig>,
}

impl Coord {
    /// Connects; retries in the background where the backend is away.
    ///
    /// # Errors
    /// Only where the configuration can't be right, such as an address that is none.
    pub async fn connect(config: &CoordConfig) -> Result<Self, CoordError> {
        config.check().map_err(CoordError::Config)?;
        let config = config.clone();
        let store = if config.kubernetes.enabled {
            let kubernetes = Kubernetes::connect(&config.kubernetes, config.lease_ttl).await;
            let fail = |e| CoordError::unavailable("connect to the Kubernetes API", "", &e);
            Store::Kubernetes(kubernetes.map_err(fail)?)
        } else if config.etcd.is_empty() {
            Store::InProcess(Arc::new(InProcess::default()))
        } else {
            let etcd = Etcd::connect(&config.etcd, &config.prefix, config.lease_ttl).await;
            Store::Etcd(Arc::new(etcd.map_err(|e| CoordError::unavailable("connect to etcd", "", &e))?))
        };
        Ok(Self { session: Session::start(store.clone(), config.lease_ttl), store, config: Arc::new(config) })
    }

    /// The same backend under a lease of its own: what a second member in this process needs.
    pub fn session(&self) -> Self {
        Self { session: Session::start(self.store.clone(), self.config.lease_ttl), ..self.clone() }
    }

    /// Announces a member until the `Membership` is dropped or left, or the process dies (then: after the TTL).
    ///
    /// # Errors
    /// None where the backend is away: the member is announced when it is back.
    pub async fn join(&self, member: Member) -> Result<Membership, CoordError> {
        member::join(Arc::clone(&self.session), &member).await
    }

    /// The living members of a workload, by id, kept current.
    pub fn members(&self, workload: Workload) -> watch::Receiver<Arc<Vec<Member>>> {
        member::watch_members(&self.store, workload)
    }

    /// Waits up to `wait` for a key that nobody else holds. The claim ends with `release`, with a drop, or with the
    /// lease (and then comes back by itself where nobody took it meanwhile).
    pub async fn claim(&self, key: &str, value: &str, wait: Duration) -> Result<Claim, CoordError> {
        claim::wait_for(&self.store, &self.session, key, value, wait).await
    }

    /// Sets a configuration value.
    pub async fn put(&self, key: &str, value: Bytes) -> Result<(), CoordError> {
        self.store.put(key, value, 0).await.map(drop).map_err(|e| CoordError::unavailable("put", key, &e))
    }

    /// Sets a value where it is the expected one (`None`: where there is none); `Held` where it is another.
    ///
    /// After `Unavailable` the write may have happened: read it again.
    pub async fn compare_and_put(
        &self,
        key: &str,
        expected: Option<&Bytes>,
        value: Bytes,
    ) -> Result<(), CoordError> {
        match self.store.compare_and_put(key, expected, value).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(CoordError::held(key, b"another value")),
            Err(error) => Err(CoordError::unavailable("put", key, &error)),
        }
    }

    /// Reads a configuration value now.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, CoordError> {
        let entry = self.store.get(key).await.map_err(|e| CoordError::unavailable("get", key, &e))?;
        Ok(entry.map(|e| e.value))
    }

    /// A configuration value, kept current; `None` where it is not set or not yet known.
    pub fn watch(&self, key: &str) -> watch::Receiver<Option<Bytes>> {
        let name = key.to_owned();
        derive(self.store.view(key), None, move |view, _| {
            Some(view.entries.get(&name).map(|e| e.value.clone()))
        })
    }

    /// The placement of a workload, kept current; the default (epoch 0, no owners) where there is none.
    /// One that is malformed or older is logged and not taken.
    pub fn placement(&self, workload: Workload) -> watch::Receiver<Arc<Placement>> {
        placement::watch_placement(&self.store, workload)
    }

    /// Publishes a placement; refused (`Held`) where the stored epoch is not smaller.
    pub async fn put_placement(&self, workload: Workload, placement: &Placement) -> Result<(), CoordError> {
        placement::put_placement(&self.store, workload, placement).await
    }

    /// Who should be asked for each slot now, kept current, for those who own none themselves.
    pub fn owners(&self, workload: Workload, slots: SlotCount) -> watch::Receiver<Arc<Owners>> {
        owners::follow(slots, placement::view(&self.store, workload), member::view(&self.store, workload))
    }

    /// Follows which slots `me` owns; see [`Ownership`]. `me` has to join as well: who is no member owns nothing.
    pub fn ownership(&self, workload: Workload, slots: SlotCount, me: MemberId) -> Ownership {
        let holders = self.store.view(&Ownership::folder(workload));
        let owners = self.owners(workload, slots);
        Ownership::new(
            Arc::clone(&self.session),
            workload,
            slots,
            me,
            self.config.handover_timeout,
            owners,
            holders,
        )
    }

    /// For readiness: does the backend answer?
    pub async fn ping(&self) -> Result<(), CoordError> {
        self.store.get("ping").await.map(drop).map_err(|e| CoordError::unavailable("ping", "", &e))
    }

    /// For tests: what a SIGKILL of this session's process does. Its lease is no longer renewed; nothing is said.
    #[doc(hidden)]
    pub async fn abandon(&self) {
        self.session.abandon().await;
    }

    /// For tests: the backend ends the lease while its process lives, as after a partition longer than the TTL.
    #[doc(hidden)]
    pub async fn expire(&self) {
        self.session.expire().await;
    }
}
