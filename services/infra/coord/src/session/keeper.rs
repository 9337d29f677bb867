//! The loop that keeps a session's lease alive and its keys written.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::TryStreamExt as _;
use rand::RngExt as _;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::Inner;
use crate::store::StoreError;

/// Keys written at once after a lost lease.
const PARALLEL: usize = 32;

/// Until the session ends; then revokes the lease, so that its keys are free at once.
pub(super) async fn keep(inner: Arc<Inner>) {
    let mut away = false;
    let mut next_beat = Instant::now();
    loop {
        if Instant::now() >= next_beat || inner.lease.borrow().is_none() {
            let ok = tokio::select! {
                beat = beat(&inner) => report(beat, &mut away),
                () = inner.stop.cancelled() => break,
            };
            next_beat = Instant::now() + pause(inner.ttl, ok);
        }
        let settled = tokio::select! {
            settled = settle(&inner) => settled,
            () = inner.stop.cancelled() => break,
        };
        if !settled {
            next_beat = next_beat.min(Instant::now() + pause(inner.ttl, false));
        }
        tokio::select! {
            () = sleep_until(next_beat) => {}
            // Without a lease a wake can't help before the next attempt at one.
            () = inner.wake.notified(), if !away => {}
            () = inner.stop.cancelled() => break,
        }
    }
    let lease = *inner.lease.borrow();
    if let (Some(lease), false) = (lease, inner.abandoned.load(Ordering::Relaxed)) {
        // At worst it lasts as long as its TTL.
        let _ = inner.store.revoke(lease).await;
    }
}

async fn beat(inner: &Inner) -> Result<(), StoreError> {
    let lease = *inner.lease.borrow();
    if let Some(lease) = lease {
        match inner.store.keep_alive(lease).await {
            Err(StoreError::LeaseGone) => inner.lease_is_gone(lease),
            other => return other,
        }
    }
    let lease = inner.store.grant(inner.ttl).await?;
    debug!(lease, "a lease was granted");
    inner.lease.send_replace(Some(lease));
    Ok(())
}

fn report(beat: Result<(), StoreError>, away: &mut bool) -> bool {
    match beat {
        Ok(()) => {
            if std::mem::take(away) {
                info!("coordination is back");
            }
            true
        }
        Err(error) => {
            metrics::counter!("gochat_coord_beats_failed_total").increment(1);
            if !std::mem::replace(away, true) {
                warn!(%error, "coordination is away: everything stays as last seen");
            }
            false
        }
    }
}

/// Writes what differs; false where something is left to do. Ends at the first failure, as the next would fail too.
async fn settle(inner: &Inner) -> bool {
    let keys = inner.unsettled().into_iter().map(Ok);
    let write = |key: String| async move { inner.reconcile(&key, false).await.map(drop) };
    futures::stream::iter(keys).try_for_each_concurrent(PARALLEL, write).await.is_ok()
}

/// A third of the TTL, so that two beats may be lost; sooner where one was. Spread, so that a thousand members don't
/// beat in step after a restart of etcd.
fn pause(ttl: Duration, ok: bool) -> Duration {
    let third = ttl / 3;
    third.mul_f64(if ok { rand::rng().random_range(0.8..1.0) } else { rand::rng().random_range(0.2..1.0) })
}
