//! The one cluster of all tests.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static CLUSTER: RwLock<()> = RwLock::new(());

/// The cluster beside other tests, until it is dropped; `None`, said by the test's name, where there is none.
pub fn shared(test: &str) -> Option<RwLockReadGuard<'static, ()>> {
    // What a failed test left behind is in a namespace of its own.
    there_is_one(test).then(|| CLUSTER.read().unwrap_or_else(PoisonError::into_inner))
}

/// The cluster without other tests: for who does something to what they share, its nodes and its operator, or measures
/// what they use together.
pub fn alone(test: &str) -> Option<RwLockWriteGuard<'static, ()>> {
    there_is_one(test).then(|| CLUSTER.write().unwrap_or_else(PoisonError::into_inner))
}

fn there_is_one(test: &str) -> bool {
    let missing = ["KUBECONFIG", "E2E_KAFKA", "E2E_MYSQL", "E2E_REDIS", "GOCHAT_BIN"]
        .into_iter()
        .find(|name| std::env::var_os(name).is_none());
    // `cargo test --workspace` has none of them; scripts/e2e.sh, which has, counts as the run that matters.
    if let Some(name) = missing {
        eprintln!("{test}: not run here, {name} is not set (`make e2e` sets it)");
    }
    missing.is_none()
}
