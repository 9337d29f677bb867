//! The live part against a real API server, with members whose load the test reports over the real gRPC service.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod plane;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, SystemTime};

use gochat_crds::{GoChatRebalance, GoChatScaler, RebalancePhase, RebalanceStatus};
use gochat_engines::Kafka;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use plane::{Plane, shares, slots_of};
use support::{NOBODY, World, eventually};

async fn ask(world: &World, name: &str, spec: Value) {
    let mut full = json!({ "cluster": "chat", "workload": "logic" });
    full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let rebalance = json!({
        "apiVersion": "gochat.io/v1alpha1", "kind": "GoChatRebalance", "metadata": { "name": name }, "spec": full,
    });
    world
        .api::<GoChatRebalance>()
        .patch(name, &PatchParams::apply("a-person"), &Patch::Apply(&rebalance))
        .await
        .unwrap();
}

async fn annotate(world: &World, name: &str, annotation: &str) {
    let patch = json!({ "metadata": { "annotations": { annotation: "true" } } });
    world.api::<GoChatRebalance>().patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}

async fn until(
    world: &World,
    name: &str,
    what: &str,
    fits: impl Fn(&RebalanceStatus) -> bool,
) -> RebalanceStatus {
    let api = world.api::<GoChatRebalance>();
    eventually(&format!("{name} is {what}"), || async {
        let status = api.get(name).await.map_err(|error| error.to_string())?.status.unwrap_or_default();
        if fits(&status) { Ok(status) } else { Err(format!("{status:?}")) }
    })
    .await
}

fn manual(spec: &mut Value) {
    spec["spec"]["rebalance"] = json!({ "mode": "Manual" });
}

/// Three members of logic, the first of which has all the load.
async fn uneven(world: &World) -> (Plane, String) {
    world.stores("chat").await;
    world.apply("chat", NOBODY, manual).await;
    let plane = Plane::start(world, "chat", "logic", 3).await;
    let map = plane.dealt().await.spec;
    let hot = "chat-logic-m0".to_owned();
    let mine = slots_of(&map, &hot);
    plane.load(move |slot| if mine.contains(&slot) { 2_000.0 } else { 200.0 });
    // Until the operator has heard it.
    plane
        .when("the load is known", |placement| {
            let load = placement.status.as_ref().and_then(|status| status.load.as_ref());
            load.is_some()
        })
        .await;
    (plane, hot)
}

async fn proposed(world: &World, name: &str, spec: Value) -> RebalanceStatus {
    // The first reports of a new load count half: asked again until the plan sees all of it.
    for attempt in 0..20 {
        let name = if attempt == 0 { name.to_owned() } else { format!("{name}-{attempt}") };
        ask(world, &name, spec.clone()).await;
        let status = until(world, &name, "planned", |status| status.phase != RebalancePhase::New).await;
        if status.total >= 3 {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("no plan sees the load");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_walks_through_its_states_to_an_even_map() {
    let Some(world) = World::new("a_rebalance_walks_through_its_states").await else { return };
    let operator = world.operator().await;
    let (plane, hot) = uneven(&world).await;
    let before = plane.dealt().await.spec;
    assert_eq!(shares(&before).values().copied().max(), Some(6), "16 slots over 3: {before:?}");

    proposed(&world, "dry", json!({ "dryRun": true })).await;
    let api = world.api::<GoChatRebalance>();
    let dry = api.list(&ListParams::default()).await.unwrap().items;
    assert!(dry.iter().all(|r| r.status.as_ref().unwrap().phase != RebalancePhase::Moving), "{dry:?}");

    ask(&world, "even", json!({ "parallel": 1 })).await;
    let status = until(&world, "even", "proposed", |status| status.phase == RebalancePhase::Proposed).await;
    assert!(status.message.unwrap().contains("annotate with gochat.io/approve=true"));
    assert_eq!(plane.dealt().await.spec.epoch, before.epoch, "nothing moves before it is approved");

    annotate(&world, "even", "gochat.io/approve").await;
    let done = until(&world, "even", "done", |status| status.phase == RebalancePhase::Done).await;
    assert_eq!((done.moved, done.progress.clone()), (done.total, format!("{0}/{0}", done.total)));
    let imbalance = done.imbalance.unwrap();
    let ratio = |text: &str| text.parse::<f64>().unwrap();
    assert!(
        ratio(&imbalance.before) > 1.5 && ratio(&imbalance.reached.clone().unwrap()) < 1.2,
        "{imbalance:?}"
    );
    assert_eq!(done.conditions[0].status, "True");
    let after = plane.dealt().await.spec;
    // One at a time: as many maps as moves.
    assert_eq!(after.epoch - before.epoch, i64::from(done.total));
    assert!(slots_of(&after, &hot).len() < slots_of(&before, &hot).len());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_that_is_stopped_midway_ends_what_is_under_way_and_begins_nothing() {
    let Some(world) = World::new("a_rebalance_that_is_stopped").await else { return };
    let operator = world.operator().await;
    let (plane, _) = uneven(&world).await;
    proposed(&world, "probe", json!({ "dryRun": true })).await;

    plane.hold(true);
    ask(&world, "even", json!({ "parallel": 2, "autoApprove": true })).await;
    let moving = plane.when("two handovers run", |p| p.status.as_ref().is_some_and(|s| s.moving == 2)).await;
    annotate(&world, "even", "gochat.io/stop").await;
    until(&world, "even", "stopping", |s| s.message.as_deref() == Some("stopping: 2 handovers under way"))
        .await;
    plane.hold(false);
    let stopped = until(&world, "even", "stopped", |status| status.phase == RebalancePhase::Stopped).await;
    assert_eq!(stopped.moved, 2);
    assert_eq!(plane.dealt().await.spec.epoch, moving.spec.epoch);

    // Deleted: the same.
    plane.hold(true);
    ask(&world, "again", json!({ "parallel": 1, "autoApprove": true })).await;
    let moving = plane.when("one handover runs", |p| p.status.as_ref().is_some_and(|s| s.moving == 1)).await;
    world.api::<GoChatRebalance>().delete("again", &DeleteParams::default()).await.unwrap();
    plane.hold(false);
    let after = plane.dealt().await;
    assert_eq!(after.spec, moving.spec, "what was under way has arrived");
    world.quiet(Duration::from_secs(3)).await;
    assert_eq!(plane.dealt().await.spec.epoch, after.spec.epoch, "and nothing else moves");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_begins_anew_goes_on_with_the_rebalance_that_it_finds() {
    let Some(world) = World::new("an_operator_that_begins_anew").await else { return };
    let operator = world.operator().await;
    let (plane, _) = uneven(&world).await;
    proposed(&world, "probe", json!({ "dryRun": true })).await;
    plane.hold(true);
    ask(&world, "even", json!({ "parallel": 1, "autoApprove": true })).await;
    let before = plane.when("a handover runs", |p| p.status.as_ref().is_some_and(|s| s.moving == 1)).await;
    operator.kill().await;
    plane.hold(false);
    let operator = world.operator().await;
    let done = until(&world, "even", "done", |status| status.phase == RebalancePhase::Done).await;
    assert_eq!(done.moved, done.total);
    assert!(plane.dealt().await.spec.epoch >= before.spec.epoch);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_begins_anew_writes_nothing_where_nothing_has_changed() {
    let Some(world) = World::new("an_operator_that_begins_anew_writes_nothing").await else { return };
    if gochat_engines::missing("an_operator_that_begins_anew", &[gochat_engines::Engine::Kafka]) {
        return;
    }
    let kafka = Kafka::start().await.unwrap();
    world.stores("chat").await;
    let operator = world.operator().await;
    let scaled = |spec: &mut Value| {
        spec["spec"]["kafka"]["topics"]["replication"] = 1.into();
        let gateway = json!({ "min": 1, "max": 9, "targets": { "connections": 1_000 } });
        spec["spec"]["gateway"]["autoscaling"] = gateway;
        spec["spec"]["rebalance"] = json!({ "patience": "1s", "coolDown": "1s" });
        spec["spec"]["logic"] = json!({ "autoscaling": { "min": 2, "max": 4 } });
    };
    world.apply("chat", &kafka.address(), scaled).await;
    let mut gateway = Plane::start(&world, "chat", "gateway", 1).await;
    gateway.connections(2_000);
    let scaler = world.api::<GoChatScaler>();
    eventually("three gateways are asked for", || async {
        let scaler = scaler.get("chat-gateway").await.map_err(|error| error.to_string())?;
        if scaler.spec.replicas == Some(3) { Ok(()) } else { Err(format!("{:?}", scaler.spec)) }
    })
    .await;
    gateway.connections(700);
    gateway.join("chat-gateway-m1").await;
    gateway.join("chat-gateway-m2").await;
    let logic = Plane::start(&world, "chat", "logic", 2).await;
    logic.load(|slot| 1_000.0 + f64::from(slot));
    world.condition("chat", "Balanced", "True", None).await;
    world.condition("chat", "ScalingActive", "True", None).await;
    gateway.dealt().await;
    logic.dealt().await;
    world.quiet(Duration::from_secs(8)).await;

    let before = world.cluster("chat").await;
    let begun = SystemTime::now();
    operator.stop().await;
    let operator = world.operator().await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let writes: Vec<_> = world.writes(begun).into_iter().map(|r| (r.verb, r.resource, r.name)).collect();
    assert_eq!(writes, [], "{:#?} became {:#?}", before.status, world.cluster("chat").await.status);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_member_is_relieved_after_patience_and_a_dead_ones_slots_are_dealt_at_once() {
    let Some(world) = World::new("a_hot_member_is_relieved").await else { return };
    world.stores("chat").await;
    let operator = world.operator().await;
    let quick = |spec: &mut Value| spec["spec"]["rebalance"] = json!({ "patience": "2s", "coolDown": "1s" });
    world.apply("chat", NOBODY, quick).await;
    let plane = Plane::start(&world, "chat", "logic", 3).await;
    let before = plane.dealt().await.spec;
    let hot = "chat-logic-m1";
    let mine = slots_of(&before, hot);
    let had = mine.len();
    plane.load(move |slot| if mine.contains(&slot) { 2_000.0 } else { 200.0 });
    let relieved = plane
        .when("the hot member has fewer slots", |placement| slots_of(&placement.spec, hot).len() < had)
        .await;
    let told = "of its share, band";
    plane
        .when("the reason is told", |p| {
            p.status.as_ref().is_some_and(|s| s.reason.as_ref().is_some_and(|r| r.contains(told)))
        })
        .await;

    let dead = "chat-logic-m2";
    let left = slots_of(&relieved.spec, dead).len();
    assert!(left > 0);
    plane.lose(dead).await;
    let after = plane.when("the dead one has none", |p| !p.spec.members.iter().any(|m| m == dead)).await;
    assert_eq!(shares(&after.spec).values().sum::<usize>(), 16);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_scale_the_gateway_with_the_reason_in_status_and_event() {
    let Some(world) = World::new("connections_scale_the_gateway").await else { return };
    if gochat_engines::missing("connections_scale_the_gateway", &[gochat_engines::Engine::Kafka]) {
        return;
    }
    let kafka = Kafka::start().await.unwrap();
    world.stores("chat").await;
    let operator = world.operator().await;
    world
        .apply("chat", &kafka.address(), |spec| {
            spec["spec"]["kafka"]["topics"]["replication"] = 1.into();
            spec["spec"]["gateway"]["autoscaling"] =
                json!({ "min": 1, "max": 9, "targets": { "connections": 1_000 } });
        })
        .await;
    let plane = Plane::start(&world, "chat", "gateway", 1).await;
    plane.connections(3_000);
    let scaler = world.api::<GoChatScaler>();
    eventually("four gateways are asked for", || async {
        let scaler = scaler.get("chat-gateway").await.map_err(|error| error.to_string())?;
        if scaler.spec.replicas == Some(4) { Ok(()) } else { Err(format!("{:?}", scaler.spec)) }
    })
    .await;
    let why = "gateway 1 → 4: 3,000 connections / 1,000 per pod × 1.2 headroom";
    let events = world.api::<Event>();
    eventually("an Event says why", || async {
        let notes: Vec<_> = events
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .into_iter()
            .filter_map(|e| e.note)
            .collect();
        if notes.iter().any(|note| note.starts_with(why)) { Ok(()) } else { Err(notes) }
    })
    .await;
    eventually("the status says why", || async {
        let status = world.cluster("chat").await.status.unwrap_or_default();
        let scaling = status.workloads.gateway.scaling.clone().unwrap_or_default();
        if scaling.contains("3,000 connections / 1,000 per pod") { Ok(()) } else { Err(scaling) }
    })
    .await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_that_go_are_those_with_the_fewest_sockets() {
    let Some(world) = World::new("the_gateways_that_go").await else { return };
    let operator = world.operator().await;
    world.stores("chat").await;
    let pods = |replicas: u32| move |spec: &mut Value| spec["spec"]["gateway"]["replicas"] = replicas.into();
    world.apply("chat", NOBODY, pods(3)).await;
    let sets = world.api::<ReplicaSet>();
    let of_gateway = ListParams::default().labels("gochat.io/workload=gateway");
    let labels = eventually("a ReplicaSet", || async {
        let set = sets.list(&of_gateway).await.map_err(|e| e.to_string())?.items.pop();
        set.and_then(|set| set.spec?.selector.match_labels).ok_or("none".to_owned())
    })
    .await;
    // It adopts what its selector fits, and lets its own go: those are not ready.
    let mut plane = Plane::start(&world, "chat", "gateway", 0).await;
    for (name, connections) in [("few", 5), ("most", 900), ("some", 70)] {
        plane.connections_of(name, connections);
        plane.join_with(name, &labels).await;
    }
    let names = |wanted: &'static [&'static str]| {
        let (pods, list) = (world.api::<Pod>(), of_gateway.clone());
        eventually("the pods are as they should be", move || {
            let (pods, list) = (pods.clone(), list.clone());
            async move {
                let all = pods.list(&list).await.map_err(|error| vec![error.to_string()])?.items;
                let names: Vec<String> = all.into_iter().filter_map(|pod| pod.metadata.name).collect();
                if names == wanted { Ok(()) } else { Err(names) }
            }
        })
    };
    names(&["few", "most", "some"]).await;
    plane.dealt().await;
    world.apply("chat", NOBODY, pods(1)).await;
    names(&["most"]).await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plugin_shows_a_cluster_and_has_it_rebalanced() {
    let Some(world) = World::new("the_plugin_shows_a_cluster").await else { return };
    let operator = world.operator().await;
    let (plane, _) = uneven(&world).await;
    proposed(&world, "probe", json!({ "dryRun": true })).await;
    let run = |arguments: &'static str| {
        let mut plugin = tokio::process::Command::new(env!("CARGO_BIN_EXE_kubectl-gochat"));
        plugin.args(arguments.split(' ')).args(["-n", &world.namespace]);
        plugin.env("KUBECONFIG", world.kubernetes.kubeconfig()).stdin(std::process::Stdio::null());
        async move {
            let output = plugin.output().await.unwrap();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            (output.status.success(), text(output.stdout), text(output.stderr))
        }
    };
    world.condition("chat", "Ready", "False", None).await;
    let (ok, status, error) = run("status").await;
    assert!(ok && status.starts_with("chat is not ready"), "{status}{error}");
    let (_, slots, _) = run("slots logic").await;
    assert!(slots.starts_with("16 slots, epoch 1"), "{slots}");
    let (_, json, _) = run("status -o json").await;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["cluster"]["metadata"]["name"], "chat");
    let (ok, _, error) = run("slots gateway").await;
    assert!(!ok && error.contains("chat has no map of gateway yet"), "{error}");
    for other in ["status --cluster chatt", "status chatt", "top chatt", "explain chatt"] {
        let (ok, _, error) = run(other).await;
        assert!(!ok && error.contains("no GoChatCluster chatt in namespace"), "{other}: {error}");
    }

    let (ok, plan, error) = run("rebalance logic").await;
    assert!(ok && plan.contains("not approved: repeat with --yes"), "{plan}{error}");
    let (ok, moved, error) = run("rebalance logic --yes --parallel 4").await;
    assert!(ok && moved.contains("Done: ") && moved.contains("hottest member at"), "{moved}{error}");
    assert!(plane.dealt().await.spec.epoch > 1);
    let (_, why, _) = run("explain").await;
    assert!(why.contains("SlotsMoved") && why.contains("slots by GoChatRebalance chat-logic-"), "{why}");
    operator.stop().await;
}
