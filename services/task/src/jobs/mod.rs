//! What runs by the clock, at one member at a time: the one that holds the claim.
//!
//! Two at once would do no harm (every job is idempotent), only double the work; so the claim need not be a fence.

mod counters;
mod retention;

use std::time::Duration;

use gochat_chassis::Shutdown;
use gochat_coord::{Coord, CoordError};
use gochat_core::MemberId;
use gochat_member::Peer;

use crate::config::JobsConfig;

const KEY: &str = "leader/task-jobs";
/// How long one attempt at the claim waits; the next follows at once.
const CLAIM_WAIT: Duration = Duration::from_secs(30);
/// Before another attempt where coordination does not answer.
const AWAY_WAIT: Duration = Duration::from_secs(1);

/// The jobs of one member.
pub(crate) struct Jobs {
    pub(crate) config: JobsConfig,
    pub(crate) repo: Peer,
    pub(crate) coord: Coord,
    pub(crate) member: MemberId,
    pub(crate) shutdown: Shutdown,
}

impl Jobs {
    /// Until shutdown begins.
    pub(crate) async fn run(self) {
        let leader = metrics::gauge!("gochat_task_jobs_leader", "member" => self.member.to_string());
        leader.set(0.0);
        loop {
            let claim = tokio::select! {
                claim = self.coord.claim(KEY, self.member.as_str(), CLAIM_WAIT) => claim,
                () = self.shutdown.wait() => return,
            };
            match claim {
                Ok(claim) => {
                    tracing::info!(member = %self.member, "runs the jobs now");
                    leader.set(1.0);
                    let stopping = tokio::select! {
                        () = self.work() => false,
                        () = claim.lost() => false,
                        () = self.shutdown.wait() => true,
                    };
                    leader.set(0.0);
                    if stopping {
                        claim.release().await;
                        return;
                    }
                    tracing::info!(member = %self.member, "runs the jobs no longer");
                }
                Err(CoordError::Held { .. }) => {}
                Err(error) => {
                    tracing::debug!(%error, "no claim to run the jobs");
                    tokio::select! {
                        () = tokio::time::sleep(AWAY_WAIT.mul_f64(rand::random_range(0.5..1.5))) => {}
                        () = self.shutdown.wait() => return,
                    }
                }
            }
        }
    }

    async fn work(&self) {
        tokio::join!(retention::run(&self.config, &self.repo), counters::run(&self.config, &self.repo));
    }
}
