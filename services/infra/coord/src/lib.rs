//! Coordination: who is there, who holds what, and the configuration that all watch.
//!
//! ```text
//! Coord ── connect(config) ──▶ InProcess | Etcd        (Kubernetes comes with the operator)
//!  ├─ join(member)        an entry that lives as long as its lease; members(workload) watches them all
//!  ├─ claim(key)          held by one at a time: leader leases, worker ids, slots being worked on
//!  ├─ put / watch(key)    small configuration values (the placement)
//!  └─ ownership           which slots this member owns now: acquire and release events, with handover
//! ```
//!
//! A backend that is away changes nothing: members, placement and ownership stay as last seen, claims stay held,
//! and everything is renewed when it is back.

use std::time::Duration;

use bytes::Bytes;
use gochat_core::{Epoch, MemberId, Placement, Slot, SlotCount, Workload};
use tokio::sync::watch;

/// One running process of a workload.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Member {
    /// Unique in its workload.
    pub id: MemberId,
    #[allow(missing_docs)]
    pub workload: Workload,
    /// `http://host:port` of its gRPC server.
    pub address: String,
    /// Owns no new slots and is not called; still there.
    pub draining: bool,
}

/// What coordination could not do.
#[derive(Debug, thiserror::Error)]
pub enum CoordError {
    /// The backend is away or refused.
    #[error("{what}: {reason}")]
    Unavailable {
        /** what was tried */
        what: String,
        /** as the backend said it */
        reason: String,
    },
    /// Somebody else holds it.
    #[error("{key} is held by {holder}")]
    Held {
        #[allow(missing_docs)]
        key: String,
        #[allow(missing_docs)]
        holder: String,
    },
}

/// Where coordination lives.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoordConfig {
    /// etcd's addresses; empty: in process (dev only).
    pub etcd: Vec<String>,
    /// All keys start with it.
    pub prefix: String,
    /// After which a member that says nothing counts as dead, and its claims are free.
    #[serde(with = "humantime_serde")]
    pub lease_ttl: Duration,
    /// How long a new owner waits for the old one's release of a slot.
    #[serde(with = "humantime_serde")]
    pub handover_timeout: Duration,
}

impl Default for CoordConfig {
    fn default() -> Self {
        Self {
            etcd: Vec::new(),
            prefix: "gochat".into(),
            lease_ttl: Duration::from_secs(2),
            handover_timeout: Duration::from_secs(3),
        }
    }
}

/// Cheap to clone. One per process; in dev each member of the process gets its own `session()`.
#[derive(Clone)]
pub struct Coord;

impl Coord {
    /// Connects; retries in the background where the backend is away.
    pub async fn connect(config: &CoordConfig) -> Result<Self, CoordError> {
        todo!()
    }
    /// The same backend under a lease of its own: what a second member in this process needs.
    pub fn session(&self) -> Self {
        todo!()
    }
    /// Announces a member until the `Membership` is dropped or left, or the process dies (then: after the TTL).
    pub async fn join(&self, member: Member) -> Result<Membership, CoordError> {
        todo!()
    }
    /// The living members of a workload, by id, kept current.
    pub fn members(&self, workload: Workload) -> watch::Receiver<std::sync::Arc<Vec<Member>>> {
        todo!()
    }
    /// Waits up to `wait` for a key that nobody else holds. The claim ends with `release`, with a drop, or with the lease.
    pub async fn claim(&self, key: &str, value: &str, wait: Duration) -> Result<Claim, CoordError> {
        todo!()
    }
    /// Sets a configuration value.
    pub async fn put(&self, key: &str, value: Bytes) -> Result<(), CoordError> {
        todo!()
    }
    /// Reads a configuration value now.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, CoordError> {
        todo!()
    }
    /// A configuration value, kept current; `None` where it is not set or not yet known.
    pub fn watch(&self, key: &str) -> watch::Receiver<Option<Bytes>> {
        todo!()
    }
    /// The placement of a workload, kept current; the default (epoch 0, no owners) where there is none.
    /// One that is malformed or older is logged and not taken.
    pub fn placement(&self, workload: Workload) -> watch::Receiver<std::sync::Arc<Placement>> {
        todo!()
    }
    /// Publishes a placement; refused (`Held`) where the stored epoch is not smaller.
    pub async fn put_placement(&self, workload: Workload, placement: &Placement) -> Result<(), CoordError> {
        todo!()
    }
    /// Follows which slots `me` owns; see [`Ownership`].
    pub fn ownership(&self, workload: Workload, slots: SlotCount, me: MemberId) -> Ownership {
        todo!()
    }
    /// For readiness: does the backend answer?
    pub async fn ping(&self) -> Result<(), CoordError> {
        todo!()
    }
}

/// A member's entry.
pub struct Membership;

impl Membership {
    /// Changes the entry (draining).
    pub async fn update(&self, member: Member) -> Result<(), CoordError> {
        todo!()
    }
    /// Removes the entry now.
    pub async fn leave(self) {
        todo!()
    }
}

/// Something held.
pub struct Claim;

impl Claim {
    /// Resolves if the claim is lost to another holder.
    pub async fn lost(&self) {
        todo!()
    }
    /// Gives it up now.
    pub async fn release(self) {
        todo!()
    }
}

/// Which slots a member owns: the effective owners of placement and members, with the handover protocol.
///
/// A slot's new owner claims it before it works: it gets the claim when the old owner has released it, when the old
/// owner's lease is over, or when the handover timeout is up, whichever is first.
pub struct Ownership;

/// A change in what a member owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The slot is claimed: start work on it.
    Acquire(Slot, Epoch),
    /// Stop work, commit, then call [`Ownership::released`].
    Release(Slot, Epoch),
}

impl Ownership {
    /// The next change; cancel-safe.
    pub async fn next(&mut self) -> Change {
        todo!()
    }
    /// Work on the slot has stopped and its offset is committed: the successor may start.
    pub async fn released(&mut self, slot: Slot) {
        todo!()
    }
    /// Who should be asked for each slot now (which may not have started yet), kept current. Index = slot.
    pub fn owners(&self) -> watch::Receiver<std::sync::Arc<Owners>> {
        todo!()
    }
}

/// The effective owners as of one placement and one set of members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// Of the placement behind it.
    pub epoch: Epoch,
    /// Index = slot; `None` where no member lives.
    pub by_slot: Vec<Option<Member>>,
}
