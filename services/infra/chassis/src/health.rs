//! What has to be well before this process is ready. Liveness is not decided here: a process that answers lives.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::Notify;

/// The checks of one process; several services of a process share it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Health {
    entries: Arc<RwLock<Vec<Entry>>>,
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct Entry {
    name: &'static str,
    /// `None` when it is well.
    reason: Option<String>,
}

impl Health {
    /// Without checks: ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check, which starts not ready. The same name may be added by several services of the process.
    pub fn check(&self, name: &'static str) -> Check {
        let mut entries = self.entries.write();
        entries.push(Entry { name, reason: Some("starting".to_owned()) });
        Check { health: self.clone(), index: entries.len() - 1 }
    }

    /// The checks that are not well, with their reasons, in the order they were added.
    pub fn failing(&self) -> Vec<(&'static str, String)> {
        self.entries.read().iter().filter_map(|e| Some((e.name, e.reason.clone()?))).collect()
    }

    /// Nothing is failing.
    pub fn is_ready(&self) -> bool {
        self.entries.read().iter().all(|e| e.reason.is_none())
    }

    /// Until nothing is failing.
    pub async fn until_ready(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listens before it looks, so that no change falls between the two.
            changed.as_mut().enable();
            if self.is_ready() {
                return;
            }
            changed.await;
        }
    }
}

/// One thing that has to be well. It outlives the handle: dropping a check does not make it well.
#[derive(Clone, Debug)]
pub struct Check {
    health: Health,
    index: usize,
}

impl Check {
    /// It is well.
    pub fn ready(&self) {
        self.set(None);
    }

    /// It is not, because of `reason`: a few words for whoever reads `/readyz`.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, reason: Option<String>) {
        let mut entries = self.health.entries.write();
        let Some(entry) = entries.get_mut(self.index) else { return };
        if entry.reason.is_some() != reason.is_some() {
            match &reason {
                None => tracing::info!(check = entry.name, "ready"),
                Some(reason) => tracing::info!(check = entry.name, reason, "not ready"),
            }
        }
        entry.reason = reason;
        drop(entries);
        self.health.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_all_its_checks_are() {
        let health = Health::new();
        assert!(health.is_ready());
        let (mq, db) = (health.check("mq"), health.check("db"));
        mq.ready();
        db.not_ready("no answer");
        assert_eq!(health.failing(), [("db", "no answer".to_owned())]);
        db.ready();
        assert!(health.is_ready());
    }

    #[test]
    fn two_services_with_the_same_check_do_not_hide_each_other() {
        let health = Health::new();
        let (first, second) = (health.check("mq"), health.check("mq"));
        first.ready();
        assert!(!health.is_ready());
        second.ready();
        assert!(health.is_ready());
    }

    #[tokio::test]
    async fn whoever_waits_for_readiness_is_told() {
        let health = Health::new();
        let check = health.check("db");
        let waiting = tokio::spawn({
            let health = health.clone();
            async move { health.until_ready().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        check.ready();
        waiting.await.unwrap();
    }

    #[test]
    fn a_dropped_check_keeps_its_state() {
        let health = Health::new();
        drop(health.check("db"));
        assert!(!health.is_ready());
    }
}
