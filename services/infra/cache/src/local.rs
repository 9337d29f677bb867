//! The local half: entries with a short life, and generations that tell a load it was overtaken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;

/// Ids share a generation by hash: an invalidation overtakes a few loads too many, which costs them their place only.
const STRIPES: usize = 256;

pub(crate) struct Local<V> {
    entries: moka::future::Cache<u64, Arc<V>>,
    generations: Vec<AtomicU64>,
}

impl<V: Send + Sync + 'static> Local<V> {
    pub(crate) fn new(most: u64, ttl: Duration) -> Self {
        let entries = moka::future::Cache::builder().max_capacity(most).time_to_live(ttl).build();
        Self { entries, generations: (0..STRIPES).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(crate) fn entries(&self) -> &moka::future::Cache<u64, Arc<V>> {
        &self.entries
    }

    /// Taken before a load; where it moved meanwhile, the load was overtaken.
    pub(crate) fn generation(&self, id: u64) -> u64 {
        self.stripe(id).map_or(0, |generation| generation.load(Ordering::SeqCst))
    }

    fn stripe(&self, id: u64) -> Option<&AtomicU64> {
        // The low bits of a Snowflake are its worker and sequence: few of them vary.
        let mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        usize::try_from(mixed).ok().and_then(|index| self.generations.get(index))
    }
}

/// What an invalidation does here.
pub(crate) trait Forget: Send + Sync {
    fn forget(&self, id: u64) -> BoxFuture<'_, ()>;
    fn forget_all(&self);
}

impl<V: Send + Sync + 'static> Forget for Local<V> {
    fn forget(&self, id: u64) -> BoxFuture<'_, ()> {
        // First the generation: a load that ends between the two is then not kept, or kept and removed.
        if let Some(generation) = self.stripe(id) {
            generation.fetch_add(1, Ordering::SeqCst);
        }
        Box::pin(async move { self.entries.invalidate(&id).await })
    }

    fn forget_all(&self) {
        for generation in &self.generations {
            generation.fetch_add(1, Ordering::SeqCst);
        }
        self.entries.invalidate_all();
    }
}

/// The caches of this process, by kind.
#[derive(Default)]
pub(crate) struct Registry(Mutex<Vec<(&'static str, Weak<dyn Forget>)>>);

impl Registry {
    pub(crate) fn add(&self, kind: &'static str, cache: Weak<dyn Forget>) {
        let mut caches = self.0.lock();
        caches.retain(|(_, cache)| cache.strong_count() > 0);
        caches.push((kind, cache));
    }

    fn living(&self, kind: Option<&str>) -> Vec<Arc<dyn Forget>> {
        let caches = self.0.lock();
        let of_kind = caches.iter().filter(|(k, _)| kind.is_none_or(|kind| *k == kind));
        of_kind.filter_map(|(_, cache)| cache.upgrade()).collect()
    }

    pub(crate) async fn forget(&self, kind: &str, id: u64) {
        for cache in self.living(Some(kind)) {
            cache.forget(id).await;
        }
    }

    pub(crate) fn forget_all(&self) {
        for cache in self.living(None) {
            cache.forget_all();
        }
    }
}
