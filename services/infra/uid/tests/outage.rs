//! Ids while etcd is away.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail by panicking")]

use std::time::Duration;

use gochat_coord::{Coord, CoordConfig};
use gochat_engines::{Engine, Etcd};
use gochat_uid::{Parts, Snowflake};

#[tokio::test]
async fn ids_go_on_while_etcd_is_away() {
    if gochat_engines::missing("ids_go_on_while_etcd_is_away", &[Engine::Etcd]) {
        return;
    }
    let etcd = Etcd::start().await.unwrap();
    let config =
        CoordConfig { etcd: vec![etcd.url()], lease_ttl: Duration::from_secs(1), ..CoordConfig::default() };
    let coord = Coord::connect(&config).await.unwrap();
    let ids = Snowflake::lease(&coord).await.unwrap();
    let first = ids.next().await.unwrap();

    etcd.kill().unwrap();
    // Until the lease would be over, were there somebody to end it.
    let mut last = first;
    let end = tokio::time::Instant::now() + config.lease_ttl * 2;
    while tokio::time::Instant::now() < end {
        let id = ids.next().await.unwrap();
        assert!(id > last);
        last = id;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    etcd.restart().await.unwrap();
    let after = ids.next().await.unwrap();
    assert!(after > last);
    assert_eq!(Parts::from(after).worker, Parts::from(first).worker);

    // A second process takes another worker.
    let other = Snowflake::lease(&Coord::connect(&config).await.unwrap()).await.unwrap();
    assert_ne!(Parts::from(other.next().await.unwrap()).worker, Parts::from(first).worker);
}
