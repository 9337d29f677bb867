//! One operator at a time, on a real API server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::time::{Duration, Instant, SystemTime};

use gochat_operator::leader::LeaderConfig;
use gochat_operator::run::Settings;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;
use support::{NOBODY, World, eventually};

const LEASE: &str = "gochat-operator";

fn candidate(identity: &str, namespace: &str) -> impl FnOnce(&mut Settings) {
    let (identity, namespace) = (identity.to_owned(), namespace.to_owned());
    move |settings| {
        settings.leader = LeaderConfig {
            namespace,
            identity,
            duration: Duration::from_secs(4),
            renew_within: Duration::from_millis(2_500),
            retry: Duration::from_millis(500),
            ..LeaderConfig::default()
        };
    }
}

async fn holder(world: &World) -> String {
    let lease = world.api::<Lease>().get(LEASE).await.unwrap();
    lease.spec.unwrap().holder_identity.unwrap_or_default()
}

async fn until_held_by(world: &World, name: &str) {
    eventually(&format!("{name} leads"), || async {
        let holder = holder(world).await;
        if holder == name { Ok(()) } else { Err(holder) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_lease_was_stolen_writes_nothing_after_its_deadline() {
    let Some(world) = World::new("a-stolen-lease").await else { return };
    let operator = world.operator_with(candidate("first", &world.namespace)).await;
    world.stores("sample").await;
    world.apply("sample", NOBODY, |_| {}).await;
    world.there::<Service>("sample-gateway").await;
    world.quiet(Duration::from_secs(2)).await;

    // It has to do all the time: what it makes is deleted again and again.
    let services = world.api::<Service>();
    let busy = tokio::spawn(async move {
        loop {
            let _ = services.delete("sample-gateway", &DeleteParams::default()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let begun = SystemTime::now();
    eventually("it is busy", || async { if world.writes(begun).len() > 5 { Ok(()) } else { Err(()) } }).await;

    let now = SystemTime::now();
    let stolen = json!({ "spec": {
        "holderIdentity": "thief", "leaseDurationSeconds": 3600, "renewTime": humantime::format_rfc3339_micros(now).to_string(),
    } });
    world.api::<Lease>().patch(LEASE, &PatchParams::default(), &Patch::Merge(&stolen)).await.unwrap();
    let deadline = SystemTime::now() + Duration::from_millis(2_500);
    tokio::time::sleep(Duration::from_secs(6)).await;
    busy.abort();
    let _ = busy.await;
    // Longer than the audit log is behind.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let late: Vec<_> = world.writes(deadline).into_iter().map(|r| (r.verb, r.resource, r.name)).collect();
    assert_eq!(late, [], "written by a leader that was deposed");

    let free = json!({ "spec": { "holderIdentity": "", "leaseDurationSeconds": 1 } });
    world.api::<Lease>().patch(LEASE, &PatchParams::default(), &Patch::Merge(&free)).await.unwrap();
    until_held_by(&world, "first").await;
    world.there::<Service>("sample-gateway").await;
    let stopped = Instant::now();
    operator.stop().await;
    assert_eq!(holder(&world).await, "", "an operator that is stopped gives the lease back");
    assert!(stopped.elapsed() < Duration::from_secs(4), "after {:?}", stopped.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_operator_goes_on_where_the_leader_died() {
    let Some(world) = World::new("a-dead-leader").await else { return };
    let first = world.operator_with(candidate("first", &world.namespace)).await;
    until_there(&world).await;
    until_held_by(&world, "first").await;
    let second = world.operator_with(candidate("second", &world.namespace)).await;
    world.stores("sample").await;
    world.apply("sample", NOBODY, |_| {}).await;
    world.there::<Service>("sample-gateway").await;
    assert!(second.health.is_ready(), "a candidate is ready: it stands by");

    first.kill().await;
    let maps = world.api::<ConfigMap>();
    let ours = |map: &ConfigMap| map.labels().contains_key("gochat.io/cluster");
    let map =
        maps.list(&ListParams::default()).await.unwrap().items.into_iter().find(ours).unwrap().name_any();
    maps.delete(&map, &DeleteParams::default()).await.unwrap();
    world.there::<ConfigMap>(&map).await;
    assert_eq!(holder(&world).await, "second");
    second.stop().await;
}

async fn until_there(world: &World) {
    world.there::<Lease>(LEASE).await;
}
