//! What callers rely on, with and without Redis.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unused_async,
    clippy::used_underscore_binding,
    clippy::items_after_statements,
    reason = "helpers of tests fail the test"
)]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gochat_cache::{Cache, CacheConfig, CacheLayer};
use gochat_engines::{Engine, Redis, missing};
use tokio::sync::Notify;

const TTL: Duration = Duration::from_mins(1);

/// The truth behind the cache, and how often it was asked.
#[derive(Default)]
struct Truth {
    value: AtomicU64,
    loads: AtomicU64,
}

impl Truth {
    async fn load(&self) -> Result<Option<u64>, Infallible> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        Ok(Some(self.value.load(Ordering::SeqCst)).filter(|v| *v != 0))
    }

    async fn through(&self, cache: &Cache<u64>, id: u64) -> Option<u64> {
        cache.get_or_load(id, self.load()).await.unwrap().map(|v| *v)
    }

    fn set(&self, value: u64) {
        self.value.store(value, Ordering::SeqCst);
    }

    fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }
}

async fn layer(redis: Option<&Redis>) -> CacheLayer {
    let config = CacheConfig {
        redis: redis.map(Redis::url).unwrap_or_default(),
        // Long enough that no test passes by expiry.
        local_ttl: TTL,
        timeout: Duration::from_secs(1),
        ..CacheConfig::default()
    };
    CacheLayer::connect(&config).await.unwrap()
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "it never came true");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_value_is_loaded_once_and_forgotten_when_invalidated() {
    let cache = layer(None).await.cache::<u64>("n", TTL);
    let truth = Truth::default();
    truth.set(1);
    let all = futures::future::join_all((0..50).map(|_| truth.through(&cache, 7))).await;
    assert!(all.iter().all(|v| *v == Some(1)));
    assert_eq!(truth.loads(), 1);
    truth.set(2);
    assert_eq!(truth.through(&cache, 7).await, Some(1));
    cache.invalidate(7).await;
    assert_eq!(truth.through(&cache, 7).await, Some(2));
}

#[tokio::test]
async fn what_does_not_exist_and_what_fails_is_asked_for_again() {
    let cache = layer(None).await.cache::<u64>("n", TTL);
    let truth = Truth::default();
    assert_eq!(truth.through(&cache, 7).await, None);
    assert_eq!(*cache.get_or_load(7, async { Err::<Option<u64>, _>("away") }).await.unwrap_err(), "away");
    truth.set(1);
    assert_eq!(truth.through(&cache, 7).await, Some(1));
}

#[tokio::test]
async fn a_load_that_an_invalidation_overtook_is_not_kept() {
    let cache = layer(None).await.cache::<u64>("n", TTL);
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (cache, begun, go) = (cache.clone(), Arc::clone(&begun), Arc::clone(&go));
        tokio::spawn(async move {
            let load = async {
                begun.notify_one();
                go.notified().await;
                Ok::<_, Infallible>(Some(1))
            };
            cache.get_or_load(7, load).await.unwrap().map(|v| *v)
        })
    };
    begun.notified().await;
    cache.invalidate(7).await;
    // Joins the load that is under way, and must not get what it brings.
    let later = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_load(7, async { Ok::<_, Infallible>(Some(2)) }).await.unwrap().map(|v| *v) }
    });
    tokio::task::yield_now().await;
    go.notify_one();
    assert_eq!(slow.await.unwrap(), Some(1));
    assert_eq!(later.await.unwrap(), Some(2));
}

#[tokio::test]
async fn processes_share_values_and_invalidations_through_redis() {
    if missing("processes_share_values_and_invalidations_through_redis", &[Engine::Redis]) {
        return;
    }
    let redis = Redis::start().await.unwrap();
    let (a, b) = (layer(Some(&redis)).await, layer(Some(&redis)).await);
    let (a, b) = (a.cache::<u64>("n", TTL), b.cache::<u64>("n", TTL));
    let truth = Truth::default();
    truth.set(1);
    // Until both listen, a local cache may be cleared at any time; Redis is not.
    assert_eq!(truth.through(&a, 7).await, Some(1));
    assert_eq!(truth.through(&b, 7).await, Some(1));
    assert_eq!(truth.loads(), 1, "the second process finds it in Redis");
    truth.set(2);
    a.invalidate(7).await;
    assert_eq!(truth.through(&a, 7).await, Some(2), "at once where it was invalidated");
    until(async || truth.through(&b, 7).await == Some(2)).await;
}

#[tokio::test]
async fn a_redis_that_dies_costs_no_caller_an_error_and_is_used_again_when_it_is_back() {
    if missing("a_redis_that_dies", &[Engine::Redis]) {
        return;
    }
    let redis = Redis::start().await.unwrap();
    let (a, b) = (layer(Some(&redis)).await, layer(Some(&redis)).await);
    let (a, b) = (a.cache::<u64>("n", TTL), b.cache::<u64>("n", TTL));
    let truth = Truth::default();
    truth.set(1);
    assert_eq!(truth.through(&a, 7).await, Some(1));
    assert_eq!(truth.through(&b, 7).await, Some(1));
    redis.kill().unwrap();
    truth.set(2);
    a.invalidate(7).await;
    assert_eq!(truth.through(&a, 7).await, Some(2));
    for id in 100..120 {
        assert_eq!(truth.through(&a, id).await, Some(2));
    }
    redis.restart().await.unwrap();
    // The other process missed the invalidation: it forgets everything when it listens again.
    until(async || truth.through(&b, 7).await == Some(2)).await;
    // And Redis is asked again: what one loads the other finds.
    let mut id = 1_000;
    until(async || {
        id += 1;
        let before = truth.loads();
        truth.through(&a, id).await;
        truth.through(&b, id).await;
        truth.loads() == before + 1
    })
    .await;
}
