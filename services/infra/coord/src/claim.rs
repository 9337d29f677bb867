//! Claims: keys that one session holds at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::CoordError;
use crate::session::{Outcome, Session, Ticket};
use crate::store::Store;

/// Something held; it is given up when this is dropped.
pub struct Claim {
    session: Arc<Session>,
    key: String,
    token: u64,
    lost: watch::Receiver<bool>,
    pub(crate) revision: i64,
}

impl Claim {
    /// Resolves if the claim is lost to another holder; never otherwise. Cancel-safe.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        if lost.wait_for(|lost| *lost).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Gives it up now.
    pub async fn release(self) {
        self.session.forget(&self.key, self.token);
        // Where it fails, the keeper goes on trying.
        let _ = self.session.reconcile(&self.key, false).await;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.session.forget(&self.key, self.token);
    }
}

/// One attempt; with `force` it is taken from whoever holds it.
pub(crate) async fn attempt(
    session: &Arc<Session>,
    key: &str,
    value: &str,
    force: bool,
) -> Result<Claim, CoordError> {
    let Some(Ticket { token, lost }) = session.want(key, Bytes::copy_from_slice(value.as_bytes())) else {
        return Err(CoordError::held(key, b"this session"));
    };
    // From here on a drop gives it up, whatever became of the write.
    let mut claim = Claim { session: Arc::clone(session), key: key.to_owned(), token, lost, revision: 0 };
    match session.reconcile(key, force).await {
        Ok(Outcome::Written(revision)) => {
            claim.revision = revision;
            Ok(claim)
        }
        Ok(Outcome::Held(entry)) => Err(CoordError::held(key, &entry.value)),
        Ok(Outcome::Gone) => Err(CoordError::held(key, b"nobody; it was given up meanwhile")),
        Err(error) => Err(CoordError::unavailable("claim", key, &error)),
    }
}

/// Attempts until `wait` is over: when the holder changes, and where the backend is away, after a pause.
pub(crate) async fn wait_for(
    store: &Store,
    session: &Arc<Session>,
    key: &str,
    value: &str,
    wait: Duration,
) -> Result<Claim, CoordError> {
    let deadline = Instant::now() + wait;
    // Subscribed before the first attempt, so that a release right after it is seen.
    let mut view = (!wait.is_zero()).then(|| store.view(key));
    loop {
        let error = match attempt(session, key, value, false).await {
            Ok(claim) => return Ok(claim),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(error) => error,
        };
        if let (CoordError::Held { .. }, Some(view)) = (&error, &mut view) {
            let next = (Instant::now() + store.held_pause()).min(deadline);
            // Either way it is tried again; a changed view is only sooner.
            let _ = timeout_at(next, view.changed()).await;
        } else {
            let pause = Duration::from_millis(rand::rng().random_range(50..250));
            let next = (Instant::now() + pause).min(deadline);
            sleep(next.saturating_duration_since(Instant::now())).await;
        }
    }
}
