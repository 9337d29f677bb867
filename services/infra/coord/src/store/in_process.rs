//! The backend of one process: a map under a lock. Its leases end only when they are revoked, since a process that
//! can't renew them is not there to hold anything.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Entry, Lease, Put, StoreError, View, ViewReceiver, covers};

#[derive(Default)]
pub(crate) struct InProcess {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<String, Entry>,
    leases: HashSet<Lease>,
    last_lease: Lease,
    revision: i64,
    views: HashMap<String, watch::Sender<Arc<View>>>,
}

impl InProcess {
    pub(super) fn get(&self, key: &str) -> Option<Entry> {
        self.state.lock().entries.get(key).cloned()
    }

    pub(super) fn put(&self, key: &str, value: Bytes, lease: Lease) -> Result<i64, StoreError> {
        self.state.lock().put(key, value, lease)
    }

    pub(super) fn put_if_absent(&self, key: &str, value: Bytes, lease: Lease) -> Result<Put, StoreError> {
        let mut state = self.state.lock();
        match state.entries.get(key) {
            Some(entry) => Ok(Put::Held(entry.clone())),
            None => state.put(key, value, lease).map(Put::Done),
        }
    }

    pub(super) fn compare_and_put(&self, key: &str, expected: Option<&Bytes>, value: Bytes) -> bool {
        let mut state = self.state.lock();
        state.entries.get(key).map(|e| &e.value) == expected && state.put(key, value, 0).is_ok()
    }

    pub(super) fn delete_under(&self, key: &str, lease: Lease) {
        let mut state = self.state.lock();
        if state.entries.get(key).is_some_and(|e| e.lease == lease) {
            state.entries.remove(key);
            state.publish(key);
        }
    }

    pub(super) fn grant(&self) -> Lease {
        let mut state = self.state.lock();
        state.last_lease += 1;
        let lease = state.last_lease;
        state.leases.insert(lease);
        lease
    }

    pub(super) fn keep_alive(&self, lease: Lease) -> Result<(), StoreError> {
        if self.state.lock().leases.contains(&lease) { Ok(()) } else { Err(StoreError::LeaseGone) }
    }

    pub(super) fn revoke(&self, lease: Lease) {
        let mut state = self.state.lock();
        state.leases.remove(&lease);
        let gone: Vec<String> =
            state.entries.iter().filter(|(_, e)| e.lease == lease).map(|(k, _)| k.clone()).collect();
        for key in gone {
            state.entries.remove(&key);
            state.publish(&key);
        }
    }

    pub(super) fn view(&self, what: &str) -> ViewReceiver {
        let mut state = self.state.lock();
        if let Some(view) = state.views.get(what) {
            return view.subscribe();
        }
        let entries = state
            .entries
            .iter()
            .filter(|(key, _)| covers(what, key))
            .map(|(k, e)| (k.clone(), e.clone()))
            .collect();
        let (view, receiver) = watch::channel(Arc::new(View { known: true, entries }));
        state.views.insert(what.to_owned(), view);
        receiver
    }
}

impl State {
    fn put(&mut self, key: &str, value: Bytes, lease: Lease) -> Result<i64, StoreError> {
        if lease != 0 && !self.leases.contains(&lease) {
            return Err(StoreError::LeaseGone);
        }
        self.revision += 1;
        self.entries.insert(key.to_owned(), Entry { value, revision: self.revision, lease });
        self.publish(key);
        Ok(self.revision)
    }

    fn publish(&mut self, key: &str) {
        self.views.retain(|_, view| view.receiver_count() > 0);
        for (_, view) in self.views.iter().filter(|(what, _)| covers(what, key)) {
            view.send_modify(|view| {
                let entries = &mut Arc::make_mut(view).entries;
                match self.entries.get(key) {
                    Some(entry) => entries.insert(key.to_owned(), entry.clone()),
                    None => entries.remove(key),
                };
            });
        }
    }
}
