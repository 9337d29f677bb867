//! What the suite starts with, and how it waits.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use gochat_coord::{Change, Coord, CoordConfig, Member, Ownership};
use gochat_core::Workload;
use gochat_engines::{Engine, Etcd};
use tokio::sync::watch;

/// Far above what anything here takes; a test that fails ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

fn config(etcd: Vec<String>) -> CoordConfig {
    let (lease_ttl, handover_timeout) = (Duration::from_secs(1), Duration::from_secs(3));
    CoordConfig { etcd, lease_ttl, handover_timeout, ..CoordConfig::default() }
}

pub(crate) async fn in_process() -> Coord {
    Coord::connect(&config(Vec::new())).await.unwrap()
}

/// An etcd of this test's own, since some kill it; `None` where this machine has none.
pub(crate) async fn etcd(test: &str) -> Option<(Etcd, Coord)> {
    if gochat_engines::missing(test, &[Engine::Etcd]) {
        return None;
    }
    let etcd = Etcd::start().await.unwrap();
    let coord = another_process(&etcd).await;
    Some((etcd, coord))
}

/// What a process of its own would have: its own connection and views.
pub(crate) async fn another_process(etcd: &Etcd) -> Coord {
    Coord::connect(&config(vec![etcd.url()])).await.unwrap()
}

pub(crate) fn member(id: &str) -> Member {
    Member {
        id: id.into(),
        workload: Workload::Gateway,
        address: format!("http://{id}:9003"),
        draining: false,
    }
}

pub(crate) fn ids(members: &[Member]) -> Vec<&str> {
    members.iter().map(|m| m.id.as_str()).collect()
}

pub(crate) async fn until<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

pub(crate) async fn until_members(members: &mut watch::Receiver<Arc<Vec<Member>>>, expected: &[&str]) {
    let seen = tokio::time::timeout(PATIENCE, members.wait_for(|now| ids(now) == expected)).await.is_ok();
    assert!(seen, "expected {expected:?}, members are {:?}", ids(&members.borrow()));
}

pub(crate) async fn acquire_all(ownership: &mut Ownership, slots: &[u32]) {
    let mut got = Vec::new();
    while got.len() < slots.len() {
        match until("an Acquire", ownership.next()).await {
            Change::Acquire(slot, _) => got.push(slot.0),
            Change::Release(slot, _) => panic!("slot {slot} is released"),
        }
    }
    got.sort_unstable();
    assert_eq!(got, slots);
}
