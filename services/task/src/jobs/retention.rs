//! Deletes messages past their retention, a bounded batch at a time, so that no statement holds locks for long.

use std::time::Duration;

use gochat_member::Peer;
use gochat_proto::repo::DeleteExpiredRequest;
use gochat_proto::repo::message_repo_client::MessageRepoClient;
use tonic::Status;

use crate::clock::now_ms;
use crate::config::JobsConfig;

/// Between two batches: leaves the database to those who chat.
const BREATH: Duration = Duration::from_millis(50);

/// Never returns; does nothing where messages are kept for ever.
pub(crate) async fn run(config: &JobsConfig, repo: &Peer) {
    if config.retention.is_zero() {
        return std::future::pending().await;
    }
    let mut ticks = tokio::time::interval(config.retention_every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match clean_up(config, repo).await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "messages past their retention deleted"),
            Err(error) => {
                tracing::warn!(code = ?error.code(), message = error.message(), "retention put off");
            }
        }
    }
}

async fn clean_up(config: &JobsConfig, repo: &Peer) -> Result<u64, Status> {
    let before_ms = now_ms().saturating_sub(i64::try_from(config.retention.as_millis()).unwrap_or(i64::MAX));
    let mut client = MessageRepoClient::new(repo.channel());
    let mut total = 0;
    loop {
        let request = DeleteExpiredRequest { before_ms, limit: config.retention_batch };
        let deleted = repo.ask(client.delete_expired(request)).await?.deleted;
        total += u64::from(deleted);
        metrics::counter!("gochat_task_expired_messages_total").increment(deleted.into());
        if deleted < config.retention_batch {
            return Ok(total);
        }
        tokio::time::sleep(BREATH).await;
    }
}
