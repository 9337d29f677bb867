//! The views that a backend keeps current, each by a task of its own, while somebody holds a receiver.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::RngExt as _;
use tokio::sync::watch;

use super::{View, ViewReceiver};

const RETRY_FROM: Duration = Duration::from_millis(50);
const RETRY_TO: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Views {
    open: Mutex<HashMap<String, watch::Sender<Arc<View>>>>,
}

impl Views {
    /// A receiver of the view; where it is new, `follow` is called once to keep it current.
    pub(super) fn open(&self, what: &str, follow: impl FnOnce(watch::Sender<Arc<View>>)) -> ViewReceiver {
        let mut open = self.open.lock();
        if let Some(view) = open.get(what) {
            return view.subscribe();
        }
        let (view, receiver) = watch::channel(Arc::default());
        open.insert(what.to_owned(), view.clone());
        follow(view);
        receiver
    }

    /// Forgets a view that nobody holds; false where somebody has come back to it.
    pub(super) fn forget(&self, what: &str) -> bool {
        let mut open = self.open.lock();
        let unused = open.get(what).is_none_or(|view| view.receiver_count() == 0);
        if unused {
            open.remove(what);
        }
        unused
    }
}

/// Before a view is tried again: grows with the failures and is spread, so that a backend that was restarted isn't
/// met by everybody at once.
pub(super) fn pause(failures: u32) -> Duration {
    let cap = RETRY_TO.min(RETRY_FROM * 2u32.saturating_pow(failures.min(10)));
    cap.mul_f64(rand::rng().random_range(0.2..1.0))
}
