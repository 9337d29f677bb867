//! Worker ids through coordination, in process.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail by panicking"
)]

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use gochat_coord::{Coord, CoordConfig};
use gochat_uid::{Parts, Snowflake, UidError};

/// Far above what anything here takes; a test that fails ends.
const PATIENCE: Duration = Duration::from_secs(30);

async fn coord() -> Coord {
    let config = CoordConfig { lease_ttl: Duration::from_secs(1), ..CoordConfig::default() };
    Coord::connect(&config).await.unwrap()
}

async fn worker(ids: &Snowflake) -> u16 {
    Parts::from(ids.next().await.unwrap()).worker
}

fn bound_key(worker: u16) -> String {
    format!("worker-bounds/{worker}")
}

async fn bound(coord: &Coord, worker: u16) -> u64 {
    let value = coord.get(&bound_key(worker)).await.unwrap().unwrap();
    std::str::from_utf8(&value).unwrap().split_once(' ').unwrap().0.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_id_repeats_among_tasks_and_processes() {
    let coord = coord().await;
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let ids = Snowflake::lease(&coord.session()).await.unwrap();
        for _ in 0..3 {
            let ids = ids.clone();
            tasks.push(tokio::spawn(async move {
                let mut mine = Vec::with_capacity(20_000);
                for _ in 0..20_000 {
                    mine.push(ids.next().await.unwrap());
                }
                mine
            }));
        }
    }
    let mut seen = HashSet::new();
    for task in tasks {
        let mine = task.await.unwrap();
        assert!(mine.is_sorted_by(|a, b| a < b), "increasing for each caller");
        assert!(mine.into_iter().all(|id| id != 0 && seen.insert(id)));
    }
    assert_eq!(seen.len(), 180_000);
}

#[tokio::test]
async fn what_is_given_out_lies_below_the_stored_bound() {
    let coord = coord().await;
    let ids = Snowflake::lease(&coord).await.unwrap();
    let id = Parts::from(ids.next().await.unwrap());
    assert!(id.ms < bound(&coord, id.worker).await);
}

#[tokio::test]
async fn a_worker_that_is_given_back_reserves_nothing_past_its_last_id() {
    let coord = coord().await;
    let session = coord.session();
    let ids = Snowflake::lease(&session).await.unwrap();
    let last = Parts::from(ids.next().await.unwrap());
    let mut stored = coord.watch(&bound_key(last.worker));
    let mut claim = coord.watch(&format!("workers/{}", last.worker));
    drop((ids, session));
    tokio::time::timeout(PATIENCE, claim.wait_for(Option::is_none)).await.expect("the claim goes").unwrap();
    stored.mark_unchanged();
    assert_eq!(bound(&coord, last.worker).await, last.ms + 1);
}

#[tokio::test]
async fn a_worker_whose_bound_lies_ahead_is_passed_over() {
    // As left by a process that was killed, or whose clock was ahead.
    let coord = coord().await;
    let ids = Snowflake::lease(&coord).await.unwrap();
    let ahead = Parts::from(ids.next().await.unwrap()).ms + 3_600_000;
    drop(ids);
    for n in (0..1024).filter(|n| *n != 77) {
        coord.put(&bound_key(n), Bytes::from(format!("{ahead} 1"))).await.unwrap();
    }
    let free = Snowflake::lease(&coord.session()).await.unwrap();
    assert_eq!(worker(&free).await, 77);
    assert!(matches!(Snowflake::lease(&coord.session()).await, Err(UidError::Coord(_))), "none is left");
}

#[tokio::test]
async fn a_holder_that_was_replaced_goes_on_as_another_worker() {
    let coord = coord().await;
    let session = coord.session();
    let ids = Snowflake::lease(&session).await.unwrap();
    let before = worker(&ids).await;

    // Its lease ends while it doesn't look, and another process is faster.
    session.expire().await;
    let _rival = coord.claim(&format!("workers/{before}"), "rival", PATIENCE).await.unwrap();
    let after = tokio::time::timeout(PATIENCE, async {
        loop {
            match ids.next().await.map(|id| Parts::from(id).worker) {
                Ok(now) if now != before => return now,
                Ok(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(UidError::NoWorker) => {}
                Err(other) => panic!("{other}"),
            }
        }
    });
    assert_ne!(after.await.unwrap(), before);
}
