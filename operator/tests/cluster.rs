//! A GoChatCluster on a real API server: what becomes of it, and what does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use gochat_crds::{GoChatCluster, GoChatScaler, ScaledWorkload};
use gochat_e2e::Collector;
use gochat_operator::names;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, Service};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use support::kubelet::Kubelet;
use support::{NOBODY, World, eventually};

/// Quiet for so long is quiet: longer than any retry of what is under way.
const QUIET: Duration = Duration::from_secs(3);

fn name(workload: ScaledWorkload) -> String {
    names::workload("sample", workload)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_becomes_workloads_and_its_status_is_true_at_every_stage() {
    let Some(world) = World::new("the-sample-becomes-workloads").await else { return };
    let operator = world.operator().await;
    let kubelet = Kubelet::start(world.client.clone(), &world.namespace);
    for workload in ScaledWorkload::ALL {
        kubelet.limit(workload.as_str(), 0);
    }
    world.stores("sample").await;
    world.apply("sample", NOBODY, |_| {}).await;
    for workload in ScaledWorkload::ALL {
        world.there::<Deployment>(&name(workload)).await;
        world.there::<GoChatScaler>(&name(workload)).await;
    }
    world.there::<Service>("sample-gateway").await;
    let keys = world.there::<Secret>("sample-signing-keys").await;
    assert!(keys.owner_references().is_empty(), "what is to stay has no owner");

    let found = world.condition("sample", "Ready", "False", None).await;
    assert_eq!(found.status.unwrap().workloads.gateway.ready, 0);
    kubelet.limit("gateway", 1);
    eventually("one gateway is ready", || async {
        let status = world.cluster("sample").await.status.unwrap();
        if status.workloads.gateway.ready == 1 { Ok(()) } else { Err(status) }
    })
    .await;
    world.condition("sample", "Ready", "False", None).await;
    for workload in ScaledWorkload::ALL {
        kubelet.unlimited(workload.as_str());
    }
    eventually("all are ready", || async {
        let status = world.cluster("sample").await.status.unwrap();
        let w = &status.workloads;
        let ready = [&w.gateway, &w.logic, &w.repo, &w.task].map(|w| (w.ready, w.desired));
        if ready == [(2, 2); 4] { Ok(()) } else { Err(status) }
    })
    .await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_steady_is_not_written_even_by_an_operator_that_was_just_started() {
    let Some(world) = World::new("what-is-steady-is-not-written").await else { return };
    let operator = world.operator().await;
    let _kubelet = Kubelet::start(world.client.clone(), &world.namespace);
    world.stores("sample").await;
    world.apply("sample", NOBODY, |_| {}).await;
    world.condition("sample", "DependenciesReady", "False", Some("KafkaAway")).await;
    world.quiet(QUIET).await;
    assert!(world.writes(SystemTime::UNIX_EPOCH).len() > 20, "what is written is seen");

    let begun = SystemTime::now();
    world.apply("sample", NOBODY, |_| {}).await;
    operator.stop().await;
    let operator = world.operator().await;
    // Longer than it asks a Kafka that is away: what it hears then it has heard before.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let writes: Vec<_> = world.writes(begun).into_iter().map(|r| (r.verb, r.resource, r.name)).collect();
    assert_eq!(writes, []);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_by_hand_is_put_back_and_what_was_deleted_returns() {
    let Some(world) = World::new("what-was-changed-is-put-back").await else { return };
    let operator = world.operator().await;
    world.stores("sample").await;
    world.apply("sample", NOBODY, |_| {}).await;
    let (deployments, services, maps) =
        (world.api::<Deployment>(), world.api::<Service>(), world.api::<ConfigMap>());
    let logic = name(ScaledWorkload::Logic);
    world.there::<Deployment>(&logic).await;
    world.quiet(QUIET).await;

    let by_hand = PatchParams { field_manager: Some("by-hand".into()), ..PatchParams::default() };
    let image = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "logic", "image": "other" }] } } } });
    deployments.patch(&logic, &by_hand, &Patch::Strategic(&image)).await.unwrap();
    eventually("the image is put back", || async {
        let spec = deployments.get(&logic).await.unwrap().spec.unwrap().template.spec.unwrap();
        let image = spec.containers[0].image.clone();
        if image.as_deref() == Some("other") { Err(image) } else { Ok(()) }
    })
    .await;

    eventually("the condition says who wrote", || async {
        let conditions = world.cluster("sample").await.status.unwrap().conditions;
        let told = conditions.into_iter().find(|condition| condition.type_ == "Degraded").unwrap().message;
        // Kafka is away too.
        if told.contains("put back: Deployment sample-logic: ") && told.contains("\"by-hand\"") {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;

    let label = json!({ "spec": { "selector": { names::WORKLOAD: "none" } } });
    services.patch("sample-gateway", &by_hand, &Patch::Merge(&label)).await.unwrap();
    eventually("the selector is put back", || async {
        let selector = services.get("sample-gateway").await.unwrap().spec.unwrap().selector.unwrap();
        if selector[names::WORKLOAD] == "gateway" { Ok(()) } else { Err(selector) }
    })
    .await;

    let added = json!({ "metadata": { "annotations": { "theirs": "stays" } } });
    deployments.patch(&logic, &by_hand, &Patch::Merge(&added)).await.unwrap();
    let map = maps
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
        .into_iter()
        .find(|map| map.labels().get(names::CLUSTER).is_some_and(|cluster| cluster == "sample"));
    let map = map.unwrap().name_any();
    maps.delete(&map, &DeleteParams::default()).await.unwrap();
    world.there::<ConfigMap>(&map).await;
    world.quiet(QUIET).await;
    let annotations = deployments.get(&logic).await.unwrap().metadata.annotations.unwrap();
    assert_eq!(annotations.get("theirs").map(String::as_str), Some("stays"));
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_somebody_else_writes_are_left_and_followed() {
    let Some(world) = World::new("replicas-of-somebody-else").await else { return };
    let operator = world.operator().await;
    world.stores("sample").await;
    world.apply("sample", NOBODY, |_| {}).await;
    let gateway = name(ScaledWorkload::Gateway);
    world.there::<Deployment>(&gateway).await;
    world.there::<GoChatScaler>(&gateway).await;

    // As an HPA does.
    let scale = json!({ "spec": { "replicas": 5 } });
    let hpa = PatchParams { field_manager: Some("an-hpa".into()), ..PatchParams::default() };
    let scalers = world.api::<GoChatScaler>();
    scalers.patch_scale(&gateway, &hpa, &Patch::Merge(&scale)).await.unwrap();
    eventually("the Deployment follows", || async {
        let replicas = world.api::<Deployment>().get(&gateway).await.unwrap().spec.unwrap().replicas;
        if replicas == Some(5) { Ok(()) } else { Err(replicas) }
    })
    .await;
    world.quiet(QUIET).await;
    // The author's own number does not win it back.
    let three = |value: &mut serde_json::Value| value["spec"]["gateway"]["replicas"] = 3.into();
    world.apply("sample", NOBODY, three).await;
    world.quiet(QUIET).await;
    let scaler = scalers.get(&gateway).await.unwrap();
    assert_eq!(scaler.spec.replicas, Some(5));
    let status = scaler.status.unwrap();
    assert_eq!(
        status.selector,
        names::selector_text("sample", ScaledWorkload::Gateway),
        "what an HPA counts by"
    );
    let scaling = world.cluster("sample").await.status.unwrap().workloads.gateway.scaling;
    assert_eq!(scaling.as_deref(), Some("5 by an-hpa"));
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_restarts_the_pods_that_read_it_and_no_others() {
    let Some(world) = World::new("a-changed-password").await else { return };
    let operator = world.operator().await;
    let _kubelet = Kubelet::start(world.client.clone(), &world.namespace);
    world.stores("sample").await;
    world.apply("sample", NOBODY, |_| {}).await;
    let templates = async || {
        let mut hashes = BTreeMap::new();
        for workload in ScaledWorkload::ALL {
            let deployment = world.there::<Deployment>(&name(workload)).await;
            let template =
                deployment.spec.unwrap().template.metadata.unwrap().annotations.unwrap_or_default();
            hashes.insert(workload, template.get(names::SECRETS_HASH).cloned());
        }
        hashes
    };
    templates().await;
    world.quiet(QUIET).await;
    let before = templates().await;
    let other = json!({ "stringData": { "url": "mysql://a:another@mysql:3306/chat" } });
    let secrets = world.api::<Secret>();
    secrets.patch("sample-mysql", &PatchParams::default(), &Patch::Merge(&other)).await.unwrap();
    eventually("repo is started with the new one", || async {
        let now = templates().await;
        if now[&ScaledWorkload::Repo] == before[&ScaledWorkload::Repo] { Err(now) } else { Ok(()) }
    })
    .await;
    world.quiet(QUIET).await;
    let mut after = templates().await;
    after.insert(ScaledWorkload::Repo, before[&ScaledWorkload::Repo].clone());
    assert_eq!(after, before, "who does not read it");
    operator.stop().await;
}

/// As a process of its own: a collector is named once for each.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_a_cluster_is_a_trace_of_the_requests_that_it_made() {
    let Some(world) = World::new("a-look-is-a-trace").await else { return };
    let collector = Collector::start().await.unwrap();
    world.stores("sample").await;
    world.apply("sample", NOBODY, |_| {}).await;
    let mut operator = tokio::process::Command::new(env!("CARGO_BIN_EXE_gochat-operator"))
        .args(["run", "--namespaces", &world.namespace, "--set", "leader.enabled=false"])
        .args(["--set", "admin.listen=127.0.0.1:0", "--set", &format!("telemetry.otlp={}", collector.url())])
        .args(["--set", &format!("kubeconfig={}", world.kubernetes.kubeconfig().display())])
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    world.there::<Deployment>("sample-gateway").await;
    let spans = collector.wait_for(30).await.unwrap();
    operator.kill().await.unwrap();
    let names = spans.names();
    assert!(names.iter().all(|name| ["reconcile", "request"].contains(name)), "{names:?}");
    let applied = |name: &&str| name.contains("/deployments/sample-gateway");
    assert!(spans.values("path").iter().any(applied), "{:?}", spans.values("path"));
    spans.ensure_children("request", "reconcile").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_paused_nothing_is_changed_and_the_status_says_so() {
    let Some(world) = World::new("paused").await else { return };
    let operator = world.operator().await;
    world.stores("sample").await;
    world.apply("sample", NOBODY, |_| {}).await;
    let services = world.api::<Service>();
    world.there::<Service>("sample-gateway").await;
    world.quiet(QUIET).await;

    let pause =
        |value: &mut serde_json::Value| value["metadata"]["annotations"] = json!({ names::PAUSED: "true" });
    world.apply("sample", NOBODY, pause).await;
    world.condition("sample", "Progressing", "False", Some("Paused")).await;
    services.delete("sample-gateway", &DeleteParams::default()).await.unwrap();
    world.quiet(QUIET).await;
    assert!(services.get_opt("sample-gateway").await.unwrap().is_none());
    world.apply("sample", NOBODY, |_| {}).await;
    world.there::<Service>("sample-gateway").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing_is_named_and_found_when_it_comes() {
    let Some(world) = World::new("a-missing-secret").await else { return };
    let operator = world.operator().await;
    world.apply("sample", NOBODY, |_| {}).await;
    let found = world.condition("sample", "DependenciesReady", "False", Some("SecretMissing")).await;
    let conditions = found.status.unwrap().conditions;
    let message = &conditions.iter().find(|c| c.type_ == "DependenciesReady").unwrap().message;
    assert!(message.contains("sample-mysql"), "{message}");
    world.stores("sample").await;
    world.condition("sample", "DependenciesReady", "False", Some("KafkaAway")).await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_namespace_that_is_deleted_nothing_is_tried_over_and_over() {
    let Some(world) = World::new("a-namespace-that-is-deleted").await else { return };
    let operator = world.operator().await;
    world.stores("sample").await;
    world.apply("sample", NOBODY, |_| {}).await;
    world.there::<Deployment>("sample-gateway").await;
    world.quiet(QUIET).await;
    // Pods go first (KEP-5080): one that takes its time keeps the rest there.
    let (pods, post) = (world.api::<Pod>(), PostParams::default());
    let slow = json!({
        "metadata": { "name": "slow", "finalizers": ["example.com/slow"] },
        "spec": { "automountServiceAccountToken": false, "containers": [{ "name": "a", "image": "a" }] },
    });
    let slow = serde_json::from_value(slow).unwrap();
    eventually("a pod", || pods.create(&post, &slow)).await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
    let maps = world.api::<ConfigMap>();
    let any = serde_json::from_value(json!({ "metadata": { "generateName": "any-" } })).unwrap();
    eventually("nothing new is taken", || async {
        match maps.create(&post, &any).await {
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(()),
            other => Err(other),
        }
    })
    .await;

    let begun = SystemTime::now();
    let services = world.api::<Service>();
    for service in services.list(&ListParams::default()).await.unwrap().items {
        services.delete(&service.name_any(), &DeleteParams::default()).await.unwrap();
    }
    let found = world.condition("sample", "Progressing", "False", Some("NamespaceTerminating")).await;
    let conditions = found.status.unwrap().conditions;
    assert!(conditions.iter().all(|condition| condition.reason != "ApplyRefused"), "{conditions:?}");
    world.quiet(QUIET).await;
    // Each of these brings the operator to look again.
    for map in maps.list(&ListParams::default()).await.unwrap().items {
        maps.delete(&map.name_any(), &DeleteParams::default()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.quiet(QUIET).await;
    let refused: Vec<_> = world.writes(begun).into_iter().filter(|r| r.code == 403).map(|r| r.uri).collect();
    assert!((1..=8).contains(&refused.len()), "what was on its way at once: {refused:?}");
    let let_go = json!({ "metadata": { "finalizers": null } });
    pods.patch("slow", &PatchParams::default(), &Patch::Merge(&let_go)).await.unwrap();
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leases_of_a_cluster_go_after_it_and_nobody_elses() {
    let Some(world) = World::new("leases-of-a-cluster").await else { return };
    let operator = world.operator().await;
    world.stores("sample").await;
    world.apply("sample", NOBODY, |_| {}).await;
    world.there::<Deployment>("sample-gateway").await;
    let leases = world.api::<Lease>();
    for (name, cluster) in [("sample.worker-bounds.3", "sample"), ("other.worker-bounds.3", "other")] {
        let lease =
            json!({ "metadata": { "name": name, "labels": { names::CLUSTER: cluster } }, "spec": {} });
        leases.create(&PostParams::default(), &serde_json::from_value(lease).unwrap()).await.unwrap();
    }
    world.api::<GoChatCluster>().delete("sample", &DeleteParams::default()).await.unwrap();
    // Who wrote it may still give out ids.
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(leases.get_opt("sample.worker-bounds.3").await.unwrap().is_some());
    eventually("its Lease is gone", || async {
        let left = leases.get_opt("sample.worker-bounds.3").await.unwrap();
        left.map_or(Ok(()), |left| Err(left.name_any()))
    })
    .await;
    assert!(leases.get_opt("other.worker-bounds.3").await.unwrap().is_some());
    operator.stop().await;
}
