//! Graceful stop: one token that says when, one tracker that says when all is done.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Shared by everything in a process that has to end well. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tracker: TaskTracker,
    /// How many tasks of each name run: what a drain that takes too long reports.
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Shutdown {
    /// Not begun, nothing tracked.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins at SIGTERM or SIGINT. A second signal ends the process at once, for the person who won't wait.
    pub fn on_signals(&self) {
        let shutdown = self.clone();
        // Not tracked: it lives as long as the process.
        tokio::spawn(async move {
            let code = signal().await;
            tracing::info!(signal = code, "stopping");
            shutdown.begin();
            let code = signal().await;
            std::process::exit(128 + code);
        });
    }

    /// Tells everybody to stop. Idempotent.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// It has begun.
    pub fn is_shutting_down(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Until it has begun; at once where it has.
    pub async fn wait(&self) {
        self.token.cancelled().await;
    }

    /// Runs a task that [`drain`](Self::drain) waits for. The task itself has to watch [`wait`](Self::wait).
    pub fn spawn<F>(&self, name: &'static str, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let entry = Running::enter(name, &self.running);
        self.tracker.spawn(async move {
            let _entry = entry;
            task.await
        })
    }

    /// Waits for all tracked tasks; `false` where some still ran after `timeout`, which are then logged by name.
    pub async fn drain(&self, timeout: Duration) -> bool {
        self.tracker.close();
        let drained = tokio::time::timeout(timeout, self.tracker.wait()).await.is_ok();
        if !drained {
            tracing::warn!(tasks = ?self.running.lock(), ?timeout, "tasks did not stop in time");
        }
        drained
    }
}

struct Running {
    name: &'static str,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Running {
    fn enter(name: &'static str, running: &Arc<Mutex<BTreeMap<&'static str, usize>>>) -> Self {
        *running.lock().entry(name).or_default() += 1;
        Self { name, running: running.clone() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.name, "task panicked");
        }
        let mut running = self.running.lock();
        if let Some(count) = running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.name);
            }
        }
    }
}

/// The next signal's number. A process that can't listen to signals is stopped by them, as by default.
async fn signal() -> i32 {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => SignalKind::terminate().as_raw_value(),
        _ = int.recv() => SignalKind::interrupt().as_raw_value(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_waits_for_what_was_spawned() {
        let shutdown = Shutdown::new();
        let (done, finished) = tokio::sync::oneshot::channel();
        let waits = shutdown.clone();
        shutdown.spawn("worker", async move {
            waits.wait().await;
            done.send(()).unwrap();
        });
        assert!(!shutdown.is_shutting_down());
        shutdown.begin();
        assert!(shutdown.drain(Duration::from_secs(60)).await);
        assert!(finished.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_at_its_timeout_and_knows_who_is_late() {
        let shutdown = Shutdown::new();
        shutdown.spawn("stuck", std::future::pending::<()>());
        shutdown.begin();
        assert!(!shutdown.drain(Duration::from_secs(5)).await);
        assert_eq!(shutdown.running.lock().get("stuck"), Some(&1));
    }

    #[tokio::test]
    async fn a_panic_does_not_block_a_drain() {
        let shutdown = Shutdown::new();
        shutdown.spawn("broken", async { panic!("as a test") });
        assert!(shutdown.drain(Duration::from_secs(60)).await);
    }
}
