//! What the caches of a process share: the way to Redis, and who is told of invalidations.

use std::sync::Arc;
use std::time::Duration;

use gochat_chassis::config::OutOfRange;
use redis::IntoConnectionInfo;

use crate::local::Registry;
use crate::remote::{Remote, listen};
use crate::{Cache, CacheConfig};

/// The connection; cheap to clone. Never fails a caller: a Redis that is gone costs speed only.
#[derive(Clone)]
pub struct CacheLayer {
    config: Arc<CacheConfig>,
    registry: Arc<Registry>,
    remote: Option<Remote>,
    /// Ends the subscription with the last clone.
    _listener: Option<Arc<Listener>>,
}

struct Listener(tokio::task::JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Settings that can't be right.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Where Redis is.
    #[error("redis address: {0}")]
    Address(String),
    /// A setting out of its range.
    #[error(transparent)]
    Range(#[from] OutOfRange),
}

impl CacheLayer {
    /// Connects in the background and stays connected. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// A setting out of its range; a malformed address; a file that can't be read.
    #[allow(clippy::unused_async, reason = "callers must be on a runtime, and say so by awaiting")]
    pub async fn connect(config: &CacheConfig) -> Result<Self, CacheError> {
        config.check()?;
        let registry = Arc::new(Registry::default());
        let (mut remote, mut listener) = (None, None);
        let address = address(config)?;
        if !address.is_empty() {
            let client = client(config, &address)?;
            let to = Remote::new(&client, config).map_err(|e| CacheError::Address(e.to_string()))?;
            let task = tokio::spawn(listen(client, to.clone(), Arc::clone(&registry)));
            listener = Some(Arc::new(Listener(task)));
            remote = Some(to);
        }
        Ok(Self { config: Arc::new(config.clone()), registry, remote, _listener: listener })
    }

    /// A cache of one kind of value. `ttl` is Redis's.
    pub fn cache<V: prost::Message + Default + Clone + 'static>(
        &self,
        kind: &'static str,
        ttl: Duration,
    ) -> Cache<V> {
        Cache::new(kind, ttl, &self.config, &self.registry, self.remote.clone())
    }
}

fn address(config: &CacheConfig) -> Result<String, CacheError> {
    let Some(path) = &config.redis_file else { return Ok(config.redis.clone()) };
    let text = std::fs::read_to_string(path)
        .map_err(|e| CacheError::Address(format!("redis_file {}: {e}", path.display())))?;
    Ok(text.trim().to_owned())
}

fn client(config: &CacheConfig, address: &str) -> Result<redis::Client, CacheError> {
    let mut info = address.into_connection_info().map_err(|e| CacheError::Address(e.to_string()))?;
    if let Some(path) = &config.password_file {
        let password = std::fs::read_to_string(path)
            .map_err(|e| CacheError::Address(format!("password_file {}: {e}", path.display())))?;
        let settings = info.redis_settings().clone().set_password(password.trim_end_matches(['\r', '\n']));
        info = info.set_redis_settings(settings);
    }
    redis::Client::open(info).map_err(|e| CacheError::Address(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_in_a_file_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        let config = CacheConfig { redis_file: Some(file.clone()), ..CacheConfig::default() };
        let error = CacheLayer::connect(&config).await.err().unwrap().to_string();
        assert!(error.contains(&format!("redis_file {}", file.display())), "{error}");
        std::fs::write(&file, "redis://:secret@127.0.0.1:1\n").unwrap();
        assert!(CacheLayer::connect(&config).await.unwrap().remote.is_some());
        std::fs::write(&file, "http://:secret@127.0.0.1:1").unwrap();
        let error = CacheLayer::connect(&config).await.err().unwrap().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[tokio::test]
    async fn a_timeout_out_of_its_range_is_refused_by_name() {
        let config = CacheConfig { timeout: Duration::ZERO, ..CacheConfig::default() };
        let error = CacheLayer::connect(&config).await.err().unwrap().to_string();
        assert_eq!(error, "cache.timeout is 0ns: must be 1ms to 1s");
    }
}
