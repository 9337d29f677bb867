//! Keeps one view of etcd current: read all, then follow the changes, and read all again after any interruption.
//!
//! Resuming a watch at its revision would save that read, and then needs the read anyway after a compaction or where
//! etcd was restored from a backup (whose revisions are lower, so that a resumed watch waits in silence). A view is a
//! picture of the present: nobody needs the events in between. While etcd is away the view stays as it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use etcd_client::{Error, EventType, GetOptions, KeyValue, WatchOptions, WatchStream};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::views::pause;
use super::{Entry, Etcd, View};

/// Until nobody holds a receiver of the view.
pub(super) async fn follow(etcd: Arc<Etcd>, what: String, view: watch::Sender<Arc<View>>) {
    let mut failures = 0u32;
    loop {
        tokio::select! {
            () = view.closed() => if etcd.views().forget(&what) { return },
            error = follow_once(&etcd, &what, &view, &mut failures) => {
                failures += 1;
                if failures == 1 {
                    warn!(view = what, error, "etcd is away: the view stays as it was");
                } else {
                    debug!(view = what, error, failures, "etcd is still away");
                }
                tokio::time::sleep(pause(failures)).await;
            }
        }
    }
}

/// Ends with the reason of an interruption.
async fn follow_once(etcd: &Etcd, what: &str, view: &watch::Sender<Arc<View>>, failures: &mut u32) -> String {
    match snapshot(etcd, what, view).await {
        Err(error) => error,
        Ok(mut changes) => {
            if std::mem::take(failures) > 0 {
                info!(view = what, "the view is current again");
            }
            apply(etcd, view, &mut changes).await
        }
    }
}

async fn snapshot(etcd: &Etcd, what: &str, view: &watch::Sender<Arc<View>>) -> Result<WatchStream, String> {
    let key = format!("{}{what}", etcd.prefix());
    let folder = what.ends_with('/');
    let read = async {
        let options = if folder { GetOptions::new().with_prefix() } else { GetOptions::new() };
        let answer = etcd.client().kv_client().get(key.as_str(), Some(options)).await?;
        let entries: BTreeMap<String, Entry> =
            answer.kvs().iter().filter_map(|kv| Some((name(etcd, kv)?, kv.into()))).collect();
        let next = answer.header().map_or(0, etcd_client::ResponseHeader::revision) + 1;
        let options = WatchOptions::new().with_start_revision(next);
        let options = if folder { options.with_prefix() } else { options };
        let changes = etcd.client().watch_client().watch(key.as_str(), Some(options)).await?;
        Ok::<_, Error>((entries, changes))
    };
    let (entries, changes) = tokio::time::timeout(etcd.call_timeout(), read)
        .await
        .map_err(|_| "no answer in time".to_owned())?
        .map_err(|e| e.to_string())?;
    view.send_if_modified(|view| {
        let changed = !view.known || view.entries != entries;
        if changed {
            *view = Arc::new(View { known: true, entries });
        }
        changed
    });
    Ok(changes)
}

async fn apply(etcd: &Etcd, view: &watch::Sender<Arc<View>>, changes: &mut WatchStream) -> String {
    loop {
        let message = match changes.message().await {
            Ok(Some(message)) if message.canceled() => {
                return format!("cancelled: {}", message.cancel_reason());
            }
            Ok(Some(message)) => message,
            Ok(None) => return "the stream ended".to_owned(),
            Err(error) => return error.to_string(),
        };
        if message.events().is_empty() {
            continue;
        }
        view.send_modify(|view| {
            let entries = &mut Arc::make_mut(view).entries;
            for event in message.events() {
                let Some((kv, name)) = event.kv().and_then(|kv| Some((kv, name(etcd, kv)?))) else {
                    continue;
                };
                match event.event_type() {
                    EventType::Put => entries.insert(name, kv.into()),
                    EventType::Delete => entries.remove(&name),
                };
            }
        });
    }
}

/// The key as the rest of the crate knows it.
fn name(etcd: &Etcd, kv: &KeyValue) -> Option<String> {
    kv.key_str().ok()?.strip_prefix(etcd.prefix()).map(str::to_owned)
}
