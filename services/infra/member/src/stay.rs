//! How a member that consumes stays, and in which order it goes.

use std::time::Duration;

use gochat_chassis::{Check, Shutdown};
use gochat_coord::{Member, Membership};
use tokio::task::{JoinError, JoinHandle};

use crate::Drain;

/// A member that serves and consumes.
pub struct Stay {
    /// Who.
    pub me: Member,
    /// Its entry.
    pub membership: Membership,
    /// Asked for by the operator.
    pub drain: Drain,
    /// Its readiness.
    pub check: Check,
    /// Ends by itself when shutdown begins: with its records done and committed.
    pub consuming: JoinHandle<()>,
    /// How long that may take.
    pub drain_timeout: Duration,
}

impl Stay {
    /// Stays until shutdown begins; a drain before that hands its slots to others. Then finishes what is in hand and
    /// leaves: after the last commit, so that who takes over starts behind it.
    ///
    /// # Errors
    /// The consumer ended without being told to.
    pub async fn until(mut self, shutdown: &Shutdown) -> Result<(), ConsumerEnded> {
        tokio::select! {
            // A consumer that stops because it was told to has not failed.
            biased;
            () = shutdown.wait() => {}
            () = self.drain.wait() => {
                let leaving = Member { draining: true, ..self.me };
                if let Err(error) = self.membership.update(leaving).await {
                    tracing::warn!(%error, "drain not announced");
                }
                shutdown.wait().await;
            }
            ended = &mut self.consuming => return Err(ConsumerEnded(ended.err())),
        }
        self.check.not_ready("stopping");
        if tokio::time::timeout(self.drain_timeout, &mut self.consuming).await.is_err() {
            tracing::warn!(
                "work in flight did not finish in time; its records stay uncommitted for the next owner"
            );
            self.consuming.abort();
        }
        self.membership.leave().await;
        Ok(())
    }
}

/// The consumer ended, by itself or by a panic.
#[derive(Debug, thiserror::Error)]
#[error("the consumer ended")]
pub struct ConsumerEnded(#[source] Option<JoinError>);
