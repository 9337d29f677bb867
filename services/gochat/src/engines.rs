//! Connecting to what a service works with, and waiting for it: a service that starts before its engines is not an
//! error, it is a Monday.

use std::future::Future;
use std::time::Duration;

use anyhow::Context as _;
use gochat_chassis::resilience::Backoff;
use gochat_chassis::{Health, Shutdown};

const PATIENCE: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(3) };

/// Tries until it succeeds or shutdown begins (then `None`). What it waits for is logged once a reason, and shown by
/// `/readyz`.
pub(crate) async fn wait_for<T, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(
    name: &'static str,
    health: &Health,
    shutdown: &Shutdown,
    mut attempt: impl FnMut() -> F,
) -> Option<T> {
    let check = health.check(name);
    let mut said = String::new();
    let mut failures = 0;
    loop {
        let result = tokio::select! {
            result = attempt() => result,
            () = shutdown.wait() => return None,
        };
        match result {
            Ok(value) => {
                check.ready();
                return Some(value);
            }
            Err(error) => {
                let reason = error.to_string();
                check.not_ready(reason.clone());
                if reason != said {
                    tracing::warn!(engine = name, reason, "waiting");
                    said = reason;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PATIENCE.delay(failures)) => failures += 1,
            () = shutdown.wait() => return None,
        }
    }
}

/// Serves probes and metrics for as long as the process lives.
pub(crate) async fn serve_admin(
    listen: std::net::SocketAddr,
    health: &Health,
    telemetry: &gochat_chassis::telemetry::Telemetry,
    shutdown: &Shutdown,
) -> anyhow::Result<std::net::SocketAddr> {
    let listener =
        tokio::net::TcpListener::bind(listen).await.with_context(|| format!("admin.listen {listen}"))?;
    let address = listener.local_addr()?;
    let serving =
        gochat_chassis::Admin::serve(listener, health.clone(), telemetry.metrics(), shutdown.clone());
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "probes and metrics are not served any more");
        }
    });
    Ok(address)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_comes_late_is_waited_for() {
        let (health, shutdown, calls) = (Health::new(), Shutdown::new(), Cell::new(0));
        let attempt = || async {
            calls.set(calls.get() + 1);
            if calls.get() < 5 { Err("away") } else { Ok(calls.get()) }
        };
        assert_eq!(wait_for("kafka", &health, &shutdown, attempt).await, Some(5));
        assert!(health.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_waits_can_be_stopped() {
        let (health, shutdown) = (Health::new(), Shutdown::new());
        let waiting = wait_for("kafka", &health, &shutdown, || async { Err::<(), _>("away") });
        let stop = async {
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert_eq!(health.failing(), [("kafka", "away".to_owned())]);
            shutdown.begin();
        };
        assert_eq!(tokio::join!(waiting, stop).0, None);
    }
}
