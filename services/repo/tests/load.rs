//! What a repo reports to the operator, over its own port.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use gochat_chassis::{Health, Shutdown};
use gochat_coord::{Coord, CoordConfig};
use gochat_core::Workload;
use gochat_db::{Db, DbConfig};
use gochat_proto::ops::operations_client::OperationsClient;
use gochat_proto::ops::{DrainRequest, WatchLoadRequest};
use gochat_proto::repo::FindUsersRequest;
use gochat_proto::repo::user_repo_client::UserRepoClient;
use gochat_repo::{Config, Deps};

#[tokio::test(flavor = "multi_thread")]
async fn a_repo_reports_its_calls_until_it_stops() {
    let db = Db::connect(&DbConfig { url: "sqlite::memory:".into(), ..DbConfig::default() }).await.unwrap();
    gochat_repo::migrate(&db).await.unwrap();
    let coord = Coord::connect(&CoordConfig::default()).await.unwrap();
    let config = Config { listen: "127.0.0.1:0".parse().unwrap(), ..Config::default() };
    let (shutdown, deps) = (Shutdown::new(), Deps { db, coord: coord.clone(), health: Health::new() });
    let running = tokio::spawn(gochat_repo::run(config, deps, shutdown.clone()));
    let mut members = coord.members(Workload::Repo);
    let address = members.wait_for(|members| !members.is_empty()).await.unwrap()[0].address.clone();

    let mut operations = OperationsClient::connect(address.clone()).await.unwrap();
    let asked = WatchLoadRequest { interval_ms: 500 };
    let mut reports = operations.watch_load(asked).await.unwrap().into_inner();
    let idle = reports.message().await.unwrap().unwrap();
    assert_eq!((idle.workload.as_str(), idle.calls_in_flight, idle.call_p99_ms), ("repo", 0.0, 0.0));

    let mut users = UserRepoClient::connect(address).await.unwrap();
    for user in 1..=50 {
        users.find_users(FindUsersRequest { user_ids: vec![user], ..Default::default() }).await.unwrap();
    }
    let busy = loop {
        let report = reports.message().await.unwrap().unwrap();
        if report.messages_per_second > 0.0 {
            break report;
        }
    };
    assert!(busy.calls_in_flight > 0.0 && busy.call_p99_ms > 0.0, "{busy:?}");
    // More calls in flight than one at a time there were not.
    assert!(busy.calls_in_flight < 1.0, "{busy:?}");

    let refused = operations.drain(DrainRequest::default()).await.unwrap_err();
    assert!(refused.message().contains("nothing to drain"), "{refused}");
    shutdown.begin();
    while let Ok(Some(_)) = reports.message().await {}
    running.await.unwrap().unwrap();
}
