//! The day so far (UTC) as gauges: who wrote, how much, and where most.

use gochat_member::Peer;
use gochat_proto::repo::message_repo_client::MessageRepoClient;
use gochat_proto::repo::{ReadStatsRequest, ReadStatsResponse};

use crate::clock::now_ms;
use crate::config::JobsConfig;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Never returns.
pub(crate) async fn run(config: &JobsConfig, repo: &Peer) {
    let mut ticks = tokio::time::interval(config.counters_every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut client = MessageRepoClient::new(repo.channel());
    loop {
        ticks.tick().await;
        let request = today(now_ms(), config.top_groups);
        match repo.ask(client.read_stats(request)).await {
            Ok(stats) => show(&stats, config.top_groups),
            Err(error) => {
                tracing::debug!(code = ?error.code(), message = error.message(), "counters not read");
            }
        }
    }
}

fn today(now: i64, top_groups: u32) -> ReadStatsRequest {
    ReadStatsRequest { from_ms: now - now.rem_euclid(DAY_MS), to_ms: now, top_groups }
}

fn show(stats: &ReadStatsResponse, top_groups: u32) {
    metrics::gauge!("gochat_task_daily_active_senders").set(stats.active_senders as f64);
    metrics::gauge!("gochat_task_daily_messages").set(stats.messages as f64);
    // By rank, not by id: a label for every group that was ever busy would never be forgotten.
    for (rank, index) in (1..=top_groups).zip(0..) {
        let messages = stats.groups.get(index).map_or(0, |group| group.messages);
        metrics::gauge!("gochat_task_daily_group_messages", "rank" => rank.to_string()).set(messages as f64);
    }
    if let Some(busiest) = stats.groups.first() {
        tracing::debug!(conversation = busiest.conversation_id, messages = busiest.messages, "busiest group");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_begins_at_midnight_utc() {
        let noon = 19_000 * DAY_MS + DAY_MS / 2;
        let asked = today(noon, 3);
        assert_eq!((asked.from_ms, asked.to_ms, asked.top_groups), (19_000 * DAY_MS, noon, 3));
    }
}
