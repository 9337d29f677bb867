//! What a backend does, and nothing that is built on it: keys, leases that own keys, and views of keys.
//!
//! Kept this small so that members, claims, placement and ownership are written once, and a backend is only these
//! few operations. A backend holds no opinion on what a key means.

mod etcd;
mod etcd_view;
mod in_process;
mod kubernetes;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt as _;
use tokio::sync::watch;

pub(crate) use etcd::Etcd;
pub(crate) use in_process::InProcess;
pub(crate) use kubernetes::Kubernetes;

/// Names a lease; 0 is none.
pub(crate) type Lease = i64;

/// A key's value, and where it stands in the backend's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) value: Bytes,
    /// Grows with every write of any key.
    pub(crate) revision: i64,
    pub(crate) lease: Lease,
}

/// The keys that a view covers, as of one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// False until the backend has been read once.
    pub(crate) known: bool,
    pub(crate) entries: BTreeMap<String, Entry>,
}

/// A view that is kept current.
pub(crate) type ViewReceiver = watch::Receiver<Arc<View>>;

/// What became of a key that may be written only where there is none.
#[derive(Debug)]
pub(crate) enum Put {
    /// Written, at this revision.
    Done(i64),
    Held(Entry),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The lease is over, and the keys under it are gone.
    #[error("the lease has expired")]
    LeaseGone,
    /// Not reached or refused; whether a write was applied is not known.
    #[error("{0}")]
    Away(String),
}

#[derive(Clone)]
pub(crate) enum Store {
    InProcess(Arc<InProcess>),
    Etcd(Arc<Etcd>),
    Kubernetes(Arc<Kubernetes>),
}

impl Store {
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        match self {
            Self::InProcess(store) => Ok(store.get(key)),
            Self::Etcd(store) => store.get(key).await,
            Self::Kubernetes(store) => store.get(key).await,
        }
    }

    /// Writes whatever was there; under a lease, or (0) to stay. Gives the revision.
    pub(crate) async fn put(&self, key: &str, value: Bytes, lease: Lease) -> Result<i64, StoreError> {
        match self {
            Self::InProcess(store) => store.put(key, value, lease),
            Self::Etcd(store) => store.put(key, value, lease).await,
            Self::Kubernetes(store) => store.put(key, value, lease).await,
        }
    }

    /// Writes where there is no such key.
    pub(crate) async fn put_if_absent(
        &self,
        key: &str,
        value: Bytes,
        lease: Lease,
    ) -> Result<Put, StoreError> {
        match self {
            Self::InProcess(store) => store.put_if_absent(key, value, lease),
            Self::Etcd(store) => store.put_if_absent(key, value, lease).await,
            Self::Kubernetes(store) => store.put_if_absent(key, value, lease).await,
        }
    }

    /// Writes, to stay, where the value is the expected one (`None`: where there is none). Gives whether it was.
    pub(crate) async fn compare_and_put(
        &self,
        key: &str,
        expected: Option<&Bytes>,
        value: Bytes,
    ) -> Result<bool, StoreError> {
        match self {
            Self::InProcess(store) => Ok(store.compare_and_put(key, expected, value)),
            Self::Etcd(store) => store.compare_and_put(key, expected, value).await,
            Self::Kubernetes(store) => store.compare_and_put(key, expected, value).await,
        }
    }

    /// Deletes the key if it is under this lease.
    pub(crate) async fn delete_under(&self, key: &str, lease: Lease) -> Result<(), StoreError> {
        match self {
            Self::InProcess(store) => {
                store.delete_under(key, lease);
                Ok(())
            }
            Self::Etcd(store) => store.delete_under(key, lease).await,
            Self::Kubernetes(store) => store.delete_under(key, lease).await,
        }
    }

    pub(crate) async fn grant(&self, ttl: Duration) -> Result<Lease, StoreError> {
        match self {
            Self::InProcess(store) => Ok(store.grant()),
            Self::Etcd(store) => store.grant(ttl).await,
            Self::Kubernetes(store) => store.grant(ttl).await,
        }
    }

    pub(crate) async fn keep_alive(&self, lease: Lease) -> Result<(), StoreError> {
        match self {
            Self::InProcess(store) => store.keep_alive(lease),
            Self::Etcd(store) => store.keep_alive(lease).await,
            Self::Kubernetes(store) => store.keep_alive(lease).await,
        }
    }

    /// Ends a lease and deletes its keys.
    pub(crate) async fn revoke(&self, lease: Lease) -> Result<(), StoreError> {
        match self {
            Self::InProcess(store) => {
                store.revoke(lease);
                Ok(())
            }
            Self::Etcd(store) => store.revoke(lease).await,
            Self::Kubernetes(store) => store.revoke(lease).await,
        }
    }

    /// Before a claim that somebody holds is tried again where no view has shown a change: on the Kubernetes API an
    /// attempt is three requests, and some wait for a claim as long as they live.
    pub(crate) fn held_pause(&self) -> Duration {
        let (from, to) = if matches!(self, Self::Kubernetes(_)) { (3_000, 9_000) } else { (50, 250) };
        Duration::from_millis(rand::rng().random_range(from..to))
    }

    /// Before a claim that looked free is tried again, where no view has shown a change. On the Kubernetes API there is
    /// a member that starts again within its own lease, whose slots all look free to it; spread, as many may do so.
    pub(crate) fn claim_retry(&self) -> Duration {
        match self {
            Self::InProcess(_) | Self::Etcd(_) => Duration::from_millis(100),
            Self::Kubernetes(_) => Duration::from_millis(rand::rng().random_range(800..1_200)),
        }
    }

    /// Everything right in a folder (`what` ends with `/`) or one key, kept current while somebody holds a receiver.
    pub(crate) fn view(&self, what: &str) -> ViewReceiver {
        match self {
            Self::InProcess(store) => store.view(what),
            Self::Etcd(store) => store.view(what),
            Self::Kubernetes(store) => store.view(what),
        }
    }
}

/// Whether a view of `what` shows `key`.
fn covers(what: &str, key: &str) -> bool {
    if what.ends_with('/') { key.starts_with(what) } else { key == what }
}
