//! A process-local cache in front of Redis, with invalidation.

use std::{future::Future, sync::Arc, time::Duration};

/// Where Redis is and how much is kept here.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// `redis://host:port`; empty: local only.
    pub redis: String,
    /// File that holds the password.
    pub password_file: Option<std::path::PathBuf>,
    /// Keys and channels start with it.
    pub prefix: String,
    /// Most entries kept locally, per cache.
    pub local_entries: u64,
    /// How long a local entry may be used without asking Redis: the bound of staleness when an invalidation is missed.
    #[serde(with = "humantime_serde")]
    pub local_ttl: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            redis: String::new(),
            password_file: None,
            prefix: "gochat".into(),
            local_entries: 100_000,
            local_ttl: Duration::from_secs(5),
        }
    }
}

/// The connection; cheap to clone. Never fails a caller: a Redis that is gone costs speed only.
#[derive(Clone)]
pub struct CacheLayer;

impl CacheLayer {
    /// Connects in the background and stays connected.
    pub async fn connect(config: &CacheConfig) -> Result<Self, CacheError> {
        todo!()
    }
    /// A cache of one kind of value. `ttl` is Redis's.
    pub fn cache<V: prost::Message + Default + Clone + 'static>(
        &self,
        kind: &'static str,
        ttl: Duration,
    ) -> Cache<V> {
        todo!()
    }
}

/// A malformed address.
#[derive(Debug, thiserror::Error)]
#[error("redis address: {0}")]
pub struct CacheError(pub String);

/// Values of one kind, by id.
#[derive(Clone)]
pub struct Cache<V>(std::marker::PhantomData<V>);

impl<V: prost::Message + Default + Clone + 'static> Cache<V> {
    /// The value: local, else Redis, else `load` (once for concurrent callers). `None` from `load` is not cached.
    pub async fn get_or_load<E: Send + Sync + 'static>(
        &self,
        id: u64,
        load: impl Future<Output = Result<Option<V>, E>> + Send,
    ) -> Result<Option<Arc<V>>, Arc<E>> {
        todo!()
    }
    /// Forgets it here, in Redis and in every other process.
    pub async fn invalidate(&self, id: u64) {
        todo!()
    }
}
