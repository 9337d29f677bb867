//! Values of one kind, by id.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::CacheConfig;
use crate::local::{Forget, Local, Registry};
use crate::remote::Remote;

/// Values of one kind, by id. Cheap to clone.
#[derive(Clone)]
pub struct Cache<V>(Arc<Inner<V>>);

struct Inner<V> {
    kind: &'static str,
    ttl: Duration,
    local: Arc<Local<V>>,
    remote: Option<Remote>,
}

/// Why a load left nothing in the cache.
enum Unkept<V, E> {
    Absent,
    Failed(Arc<E>),
    /// An invalidation came between: good for who asked before it.
    Overtaken(Arc<V>),
}

impl<V: prost::Message + Default + Clone + 'static> Cache<V> {
    pub(crate) fn new(
        kind: &'static str,
        ttl: Duration,
        config: &CacheConfig,
        registry: &Registry,
        remote: Option<Remote>,
    ) -> Self {
        let local = Arc::new(Local::new(config.local_entries, config.local_ttl));
        let forget: Weak<Local<V>> = Arc::downgrade(&local);
        registry.add(kind, forget);
        Self(Arc::new(Inner { kind, ttl, local, remote }))
    }

    /// The value: local, else Redis, else `load` (once for concurrent callers). `None` from `load` is not cached.
    ///
    /// # Errors
    /// Only `load`'s.
    pub async fn get_or_load<E: Send + Sync + 'static>(
        &self,
        id: u64,
        load: impl Future<Output = Result<Option<V>, E>> + Send,
    ) -> Result<Option<Arc<V>>, Arc<E>> {
        let mut load = pin!(load);
        loop {
            let mut mine = false;
            let init = async {
                mine = true;
                self.0.find(id, load.as_mut()).await
            };
            let found = self.0.local.entries().try_get_with(id, init).await;
            let unkept = match found {
                Ok(value) => return Ok(Some(value)),
                Err(unkept) => unkept,
            };
            return match &*unkept {
                Unkept::Absent => Ok(None),
                Unkept::Failed(error) => Err(Arc::clone(error)),
                Unkept::Overtaken(value) if mine => Ok(Some(Arc::clone(value))),
                // Somebody else's load, which may have begun before an invalidation that this call came after.
                Unkept::Overtaken(_) => continue,
            };
        }
    }

    /// Forgets it here, in Redis and in every other process.
    pub async fn invalidate(&self, id: u64) {
        let inner = &self.0;
        inner.local.forget(id).await;
        if let Some(remote) = &inner.remote {
            remote.invalidate(inner.kind, id).await;
            // Again: between the two, a load could find the old value in Redis.
            inner.local.forget(id).await;
        }
    }
}

impl<V: prost::Message + Default + Clone + 'static> Inner<V> {
    async fn find<E>(
        &self,
        id: u64,
        load: impl Future<Output = Result<Option<V>, E>> + Send,
    ) -> Result<Arc<V>, Unkept<V, E>> {
        let generation = self.local.generation(id);
        let value = match self.shared(id).await {
            Some(value) => value,
            None => self.load(id, load).await?,
        };
        let value = Arc::new(value);
        if self.local.generation(id) == generation { Ok(value) } else { Err(Unkept::Overtaken(value)) }
    }

    async fn shared(&self, id: u64) -> Option<V> {
        let stored = self.remote.as_ref()?.get(self.kind, id).await?;
        // What an older or newer build stored and this one can't read is as good as nothing.
        let value = V::decode(stored).ok()?;
        metrics::counter!("gochat_cache_redis_hits_total", "kind" => self.kind).increment(1);
        Some(value)
    }

    async fn load<E>(
        &self,
        id: u64,
        load: impl Future<Output = Result<Option<V>, E>> + Send,
    ) -> Result<V, Unkept<V, E>> {
        metrics::counter!("gochat_cache_loads_total", "kind" => self.kind).increment(1);
        let begun = Instant::now();
        let loaded = load.await.map_err(|error| Unkept::Failed(Arc::new(error)))?;
        let value = loaded.ok_or(Unkept::Absent)?;
        if let Some(remote) = &self.remote {
            remote.fill(self.kind, id, &value.encode_to_vec(), self.ttl, begun.elapsed()).await;
        }
        Ok(value)
    }
}
