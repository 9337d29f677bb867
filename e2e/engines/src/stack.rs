//! All engines of one GoChat cluster.

use anyhow::Result;

use crate::{Etcd, Kafka, MariaDb, Redis, Tuning};

/// One of each.
#[derive(Debug)]
pub struct Stack {
    /// The log.
    pub kafka: Kafka,
    /// The database.
    pub mariadb: MariaDb,
    /// The shared cache.
    pub redis: Redis,
    /// Coordination.
    pub etcd: Etcd,
}

impl Stack {
    /// Starts all at once, for functional tests.
    pub async fn start_all() -> Result<Self> {
        Self::start_for(Tuning::Function).await
    }

    /// Starts all at once.
    pub async fn start_for(tuning: Tuning) -> Result<Self> {
        let (kafka, mariadb, redis, etcd) = tokio::try_join!(
            Kafka::start_for(tuning),
            MariaDb::start_for(tuning),
            Redis::start(),
            Etcd::start()
        )?;
        Ok(Self { kafka, mariadb, redis, etcd })
    }

    /// Process ids by engine, of those that run.
    pub fn pids(&self) -> Vec<(&'static str, u32)> {
        let all = [
            ("kafka", self.kafka.pid()),
            ("mariadb", self.mariadb.pid()),
            ("redis", self.redis.pid()),
            ("etcd", self.etcd.pid()),
        ];
        all.into_iter().filter_map(|(name, pid)| Some((name, pid?))).collect()
    }
}
