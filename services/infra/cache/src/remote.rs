//! The shared half: Redis, bounded in every way, and the channel of invalidations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use gochat_chassis::resilience::{Backoff, Breaker};
use parking_lot::Mutex;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{RedisError, RedisFuture};

use crate::CacheConfig;
use crate::local::Registry;

/// How long an invalidated key refuses to be filled. Loads that took half of it are not written, so that none of before
/// the invalidation can be written after its tombstone is gone.
const TOMBSTONE: Duration = Duration::from_secs(10);
/// First byte of what is stored: a value follows, or it was invalidated.
const VALUE: u8 = 1;
const BURIED: &[u8] = &[0];
/// Invalidations that could not be told, kept for when Redis is back. Past that, its TTLs heal it.
const MOST_UNTOLD: usize = 10_000;
/// Failures in a row after which Redis is left alone, and for how long.
const FAILURES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub(crate) struct Remote {
    connection: ConnectionManager,
    breaker: Breaker,
    timeout: Duration,
    prefix: Arc<str>,
    untold: Arc<Mutex<BTreeSet<(&'static str, u64)>>>,
}

#[derive(Debug, thiserror::Error)]
enum RemoteError {
    #[error("no answer in time")]
    TimedOut,
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl Remote {
    pub(crate) fn new(client: &redis::Client, config: &CacheConfig) -> Result<Self, RedisError> {
        // An alert on a rate has to see the zero before the first failure.
        metrics::counter!("gochat_cache_redis_failures_total").increment(0);
        let manager = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(config.timeout));
        Ok(Self {
            connection: ConnectionManager::new_lazy_with_config(client.clone(), manager)?,
            breaker: Breaker::new(FAILURES, PAUSE),
            timeout: config.timeout,
            prefix: config.prefix.as_str().into(),
            untold: Arc::default(),
        })
    }

    fn key(&self, kind: &str, id: u64) -> String {
        format!("{}:{kind}:{id}", self.prefix)
    }

    fn channel(&self) -> String {
        format!("{}:invalidate", self.prefix)
    }

    /// What is stored; `None` where nothing is, or Redis is away.
    pub(crate) async fn get(&self, kind: &str, id: u64) -> Option<Bytes> {
        let mut command = redis::cmd("GET");
        command.arg(self.key(kind, id));
        let stored: Option<Vec<u8>> = self.ask(&command).await?;
        let mut stored = Bytes::from(stored?);
        (stored.first() == Some(&VALUE)).then(|| stored.split_off(1))
    }

    /// Stores what was loaded in `took`, unless something is there: another's value, or a tombstone.
    pub(crate) async fn fill(&self, kind: &str, id: u64, value: &[u8], ttl: Duration, took: Duration) {
        if took > TOMBSTONE / 2 {
            return;
        }
        let mut stored = Vec::with_capacity(value.len() + 1);
        stored.push(VALUE);
        stored.extend_from_slice(value);
        let mut command = redis::cmd("SET");
        command.arg(self.key(kind, id)).arg(stored).arg("PX").arg(millis(ttl)).arg("NX");
        self.ask::<redis::Value>(&command).await;
    }

    /// Buries the value and tells everybody; later, where that is not possible now.
    pub(crate) async fn invalidate(&self, kind: &'static str, id: u64) {
        if !self.bury(kind, id).await {
            let mut untold = self.untold.lock();
            if untold.len() < MOST_UNTOLD {
                untold.insert((kind, id));
            }
        }
    }

    async fn bury(&self, kind: &str, id: u64) -> bool {
        let mut pipe = redis::pipe();
        pipe.cmd("SET").arg(self.key(kind, id)).arg(BURIED).arg("PX").arg(millis(TOMBSTONE)).ignore();
        pipe.cmd("PUBLISH").arg(self.channel()).arg(format!("{kind}:{id}")).ignore();
        let mut connection = self.connection.clone();
        // An invalidation is worth a try even where reads are held back.
        self.bounded(async move { pipe.query_async::<()>(&mut connection).await }).await.is_some()
    }

    async fn tell_untold(&self) {
        let untold = std::mem::take(&mut *self.untold.lock());
        for (kind, id) in untold {
            self.invalidate(kind, id).await;
        }
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Option<T> {
        if !self.breaker.admit(std::time::Instant::now()) {
            return None;
        }
        let mut connection = self.connection.clone();
        let answer: RedisFuture<'_, T> = Box::pin(command.query_async(&mut connection));
        self.bounded(answer).await
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, RedisError>>) -> Option<T> {
        let answer = match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer.map_err(RemoteError::from),
            Err(_) => Err(RemoteError::TimedOut),
        };
        match answer {
            Ok(answer) => {
                self.breaker.succeeded();
                Some(answer)
            }
            Err(error) => {
                self.breaker.failed(std::time::Instant::now());
                metrics::counter!("gochat_cache_redis_failures_total").increment(1);
                tracing::debug!(%error, "redis did not answer");
                None
            }
        }
    }
}

/// Follows the channel for as long as the process lives. What was said while nobody listened is unknown: so whenever
/// listening begins, all that is cached locally is forgotten.
pub(crate) async fn listen(client: redis::Client, remote: Remote, registry: Arc<Registry>) {
    let backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(2) };
    let mut attempt = 0;
    loop {
        match subscribe(&client, &remote.channel()).await {
            Ok(subscription) => {
                attempt = 0;
                tracing::info!("cache invalidations are followed");
                registry.forget_all();
                remote.tell_untold().await;
                let mut messages = subscription.into_on_message();
                while let Some(message) = messages.next().await {
                    let Ok(text) = message.get_payload::<String>() else { continue };
                    let Some((kind, id)) = text.rsplit_once(':') else { continue };
                    if let Ok(id) = id.parse() {
                        registry.forget(kind, id).await;
                    }
                }
                tracing::warn!("redis is away: caches are local");
            }
            Err(error) => tracing::debug!(%error, "redis can't be subscribed to"),
        }
        tokio::time::sleep(backoff.delay(attempt)).await;
        attempt = attempt.saturating_add(1);
    }
}

async fn subscribe(client: &redis::Client, channel: &str) -> Result<redis::aio::PubSub, RemoteError> {
    let connect = async {
        let mut subscription = client.get_async_pubsub().await?;
        subscription.subscribe(channel).await?;
        Ok(subscription)
    };
    tokio::time::timeout(Duration::from_secs(2), connect).await.map_err(|_| RemoteError::TimedOut)?
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}
