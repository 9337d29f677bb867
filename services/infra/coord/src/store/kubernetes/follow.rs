//! Keeps one view current: lists, watches, resumes where it was after an interruption, and lists again where the API
//! server has forgotten that version (410 Gone). While it is away the view stays as it was.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::client;
use crate::store::views::{Views, pause};
use crate::store::{Entry, View};

/// Until nobody holds a receiver of the view.
pub(super) async fn follow<K>(
    api: Api<K>,
    watched: watcher::Config,
    read: impl Fn(&K) -> Option<(String, Entry)>,
    what: String,
    views: Arc<Views>,
    view: watch::Sender<Arc<View>>,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut changes = watcher(api, watched).map_err(|e| client::reason(&e)).boxed();
    let mut listing = BTreeMap::new();
    let mut failures = 0u32;
    loop {
        let change = tokio::select! {
            () = view.closed() => if views.forget(&what) { return } else { continue },
            change = changes.next() => change,
        };
        match change {
            Some(Ok(change)) => {
                // The first thing it says is that it is about to ask.
                if !matches!(change, Event::Init) && std::mem::take(&mut failures) > 0 {
                    info!(view = what, "the view is current again");
                }
                apply(change, &read, &mut listing, &view);
            }
            Some(Err(error)) => {
                failures += 1;
                if failures == 1 {
                    warn!(view = what, error, "the Kubernetes API is away: the view stays as it was");
                } else {
                    debug!(view = what, error, failures, "the Kubernetes API is still away");
                }
                tokio::time::sleep(pause(failures)).await;
            }
            // A watcher does not end.
            None => return,
        }
    }
}

fn apply<K>(
    change: Event<K>,
    read: &impl Fn(&K) -> Option<(String, Entry)>,
    listing: &mut BTreeMap<String, Entry>,
    view: &watch::Sender<Arc<View>>,
) {
    match change {
        Event::Init => listing.clear(),
        Event::InitApply(object) => listing.extend(read(&object)),
        Event::InitDone => {
            let entries = std::mem::take(listing);
            view.send_if_modified(|view| {
                let changed = !view.known || view.entries != entries;
                if changed {
                    *view = Arc::new(View { known: true, entries });
                }
                changed
            });
        }
        Event::Apply(object) => {
            if let Some((key, entry)) = read(&object) {
                view.send_modify(|view| drop(Arc::make_mut(view).entries.insert(key, entry)));
            }
        }
        Event::Delete(object) => {
            if let Some((key, _)) = read(&object) {
                view.send_modify(|view| drop(Arc::make_mut(view).entries.remove(&key)));
            }
        }
    }
}
