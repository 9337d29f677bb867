//! The placement of a workload: published by one, obeyed by all.

use std::sync::Arc;

use bytes::Bytes;
use gochat_core::{Placement, Workload};
use tokio::sync::watch;
use tracing::warn;

use crate::CoordError;
use crate::derive::derive;
use crate::store::{Store, View, ViewReceiver};

/// Attempts against others who publish at the same time; every one of them that fails is somebody's success.
const ATTEMPTS: u32 = 8;

fn key(workload: Workload) -> String {
    format!("placement/{workload}")
}

pub(crate) fn view(store: &Store, workload: Workload) -> ViewReceiver {
    store.view(&key(workload))
}

pub(crate) fn watch_placement(store: &Store, workload: Workload) -> watch::Receiver<Arc<Placement>> {
    derive(view(store, workload), Arc::default(), |view, current| newer(view, current).map(Arc::new))
}

/// The view's placement, where it can be read and is newer than the current one.
pub(crate) fn newer(view: &View, current: &Placement) -> Option<Placement> {
    let (key, entry) = view.entries.first_key_value()?;
    match parse(&entry.value) {
        Ok(next) if next.epoch > current.epoch => Some(next),
        Ok(next) => {
            if next != *current {
                warn!(
                    key,
                    current = current.epoch.0,
                    offered = next.epoch.0,
                    "an older placement is not taken"
                );
            }
            None
        }
        Err(error) => {
            warn!(key, error, "a malformed placement is not taken");
            None
        }
    }
}

pub(crate) async fn put_placement(
    store: &Store,
    workload: Workload,
    placement: &Placement,
) -> Result<(), CoordError> {
    let key = key(workload);
    let malformed = |reason: String| CoordError::Unavailable { what: format!("publish {key}"), reason };
    placement.check().map_err(|e| malformed(e.to_string()))?;
    let value: Bytes = serde_json::to_vec(placement).map_err(|e| malformed(e.to_string()))?.into();
    for _ in 0..ATTEMPTS {
        let stored = store.get(&key).await.map_err(|e| CoordError::unavailable("read", &key, &e))?;
        // One that can't be read is obeyed by nobody, so it may be replaced by any.
        let epoch = stored.as_ref().and_then(|e| parse(&e.value).ok()).map(|p| p.epoch);
        if let Some(epoch) = epoch.filter(|stored| *stored >= placement.epoch) {
            return Err(CoordError::Held { key, holder: format!("epoch {}", epoch.0) });
        }
        let expected = stored.as_ref().map(|e| &e.value);
        let done = store.compare_and_put(&key, expected, value.clone()).await;
        if done.map_err(|e| CoordError::unavailable("publish", &key, &e))? {
            return Ok(());
        }
    }
    Err(CoordError::Held { key, holder: "others who publish at the same time".into() })
}

fn parse(value: &[u8]) -> Result<Placement, String> {
    let placement: Placement = serde_json::from_slice(value).map_err(|e| e.to_string())?;
    placement.check().map_err(|e| e.to_string())?;
    Ok(placement)
}

#[cfg(test)]
mod tests {
    use gochat_core::Epoch;

    use super::*;
    use crate::store::Entry;

    fn view(value: &[u8]) -> View {
        let entry = Entry { value: Bytes::copy_from_slice(value), revision: 1, lease: 0 };
        View { known: true, entries: [("placement/logic".to_owned(), entry)].into() }
    }

    fn placement(epoch: u64, owner: u16) -> Placement {
        Placement { epoch: Epoch(epoch), members: vec!["a".into()], owners: vec![owner] }
    }

    #[test]
    fn only_a_newer_placement_that_can_be_used_is_taken() {
        let current = placement(5, 0);
        let offered = |p: &Placement| newer(&view(&serde_json::to_vec(p).unwrap()), &current);
        assert_eq!(offered(&placement(6, 0)), Some(placement(6, 0)));
        assert_eq!(offered(&placement(5, 0)), None);
        assert_eq!(offered(&placement(4, 0)), None, "older");
        assert_eq!(offered(&placement(6, 1)), None, "owned by a member that it doesn't name");
        assert_eq!(newer(&view(b"{"), &current), None, "malformed");
        assert_eq!(newer(&View::default(), &current), None, "a placement that vanishes stays obeyed");
    }
}
