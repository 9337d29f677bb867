//! What is said of a cluster, in every situation that the table knows.

use std::collections::BTreeSet;
use std::path::Path;

use gochat_crds::{
    ClusterStatus, ConditionType, GoChatCluster, GoChatScaler, GoChatScalerSpec, RolloutStep, ScaledWorkload,
    ScalerMode,
};
use gochat_operator::cluster::dereference::{Facts, KafkaFacts, TopicFacts};
use gochat_operator::cluster::status::{Applied, status};
use gochat_operator::cluster::{desired, reasons};
use gochat_operator::live::{Balance, Signal, Wanted};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::kubelet::{BROKEN, UNMIGRATABLE, World};
use super::samples::{MINIMAL, cluster, defaults, with};

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(1_800_000_000 + second).unwrap())
}

fn said(cluster: &GoChatCluster, facts: &Facts, applied: &Applied) -> ClusterStatus {
    let desired = desired(cluster, facts, &defaults());
    status(cluster, desired.as_ref(), facts, applied, &at(0))
}

fn of(world: &World) -> ClusterStatus {
    said(&world.cluster, &world.facts, &Applied::default())
}

/// `status reason`, and the message.
fn condition(status: &ClusterStatus, type_: ConditionType) -> (String, String) {
    let found = status.conditions.iter().find(|condition| condition.type_ == type_.as_str());
    found.map_or_else(Default::default, |found| {
        (format!("{} {}", found.status, found.reason), found.message.clone())
    })
}

fn settled(cluster: GoChatCluster) -> World {
    let mut world = World::new(cluster);
    world.settle();
    world
}

/// One world for each situation.
fn situations() -> Vec<(&'static str, GoChatCluster, Facts, Applied)> {
    use ConditionType::{Balanced, Degraded, DependenciesReady, Progressing, Ready, ScalingActive};
    let sample = || settled(cluster(MINIMAL));
    let mut all = Vec::new();
    let mut case =
        |name: &'static str, world: &World, applied: Applied, expected: &[(ConditionType, &str, &str)]| {
            let status = said(&world.cluster, &world.facts, &applied);
            for (type_, wanted, words) in expected {
                let (got, message) = condition(&status, *type_);
                assert!(
                    got == *wanted && message.contains(words),
                    "{name}: {} is {got}: {message}",
                    type_.as_str()
                );
            }
            all.push((name, world.cluster.clone(), world.facts.clone(), applied));
        };
    let none = Applied::default;

    let new = World::new(cluster(MINIMAL));
    case(
        "new",
        &new,
        none(),
        &[(Ready, "False Creating", "repo, logic, task, gateway"), (Progressing, "True Migrating", "")],
    );
    let mut creating = new.clone();
    creating.reconcile(30);
    creating.facts.deployments.clear();
    creating.step_jobs();
    creating.step_jobs();
    case("creating", &creating, none(), &[(Progressing, "True Creating", "repo: there is no Deployment")]);
    let mut starting = new.clone();
    starting.reconcile(usize::MAX);
    starting.tick();
    case(
        "starting",
        &starting,
        none(),
        &[(Ready, "False PodsNotReady", "repo: 0 of 2 pods are ready; logic: 0 of 2")],
    );

    case(
        "settled",
        &sample(),
        none(),
        &[
            (Ready, "True AllServing", "ready pods: repo: 2, logic: 2, task: 2, gateway: 2"),
            (Progressing, "False Settled", "all workloads run 0.1.0"),
            (Degraded, "False AsExpected", ""),
            (Balanced, "Unknown NoReports", ""),
            (ScalingActive, "False FixedReplicas", ""),
            (DependenciesReady, "True AllThere", ""),
        ],
    );
    let mut rolling = sample();
    rolling.cluster.spec.version = Some("0.2.0".to_owned());
    rolling.until(|world| world.pods(ScaledWorkload::Logic).old() > 0);
    case(
        "rolling",
        &rolling,
        none(),
        &[(Progressing, "True RollingOut", "logic: "), (Ready, "True AllServing", "")],
    );
    let mut stopped = sample();
    stopped.cluster.spec.logic.pod.overrides =
        Some(serde_json::json!({ "spec": { "containers": [{ "name": "logic", "image": BROKEN }] } }));
    let is_stopped = |world: &World| condition(&of(world), Progressing).0 == "False RolloutStopped";
    stopped.until(is_stopped);
    case("stopped", &stopped, none(), &[(Degraded, "True RolloutStopped", "logic: 1 of 2 pods are new")]);
    let mut unmigrated = sample();
    unmigrated.cluster.spec.image = Some(UNMIGRATABLE.to_owned());
    unmigrated.until(|world| condition(&of(world), Progressing).0 == "False MigrationFailed");
    case(
        "unmigrated",
        &unmigrated,
        none(),
        &[(Degraded, "True MigrationFailed", "Job sample-migrate-"), (Ready, "True AllServing", "")],
    );

    let mut scaling = sample();
    scaling.cluster.spec.task.replicas = Some(5);
    case(
        "scaling",
        &scaling,
        none(),
        &[
            (Progressing, "True Scaling", "task: 5 pods are wanted, 2 were"),
            (Ready, "False PodsNotReady", "task: 2 of 5"),
        ],
    );
    let mut zero = sample();
    zero.cluster.spec.task.replicas = Some(0);
    zero.until(|world| {
        world.pods(ScaledWorkload::Task).available() == 0
            && condition(&of(world), Progressing).0 == "False Settled"
    });
    case("zero", &zero, none(), &[(Ready, "False Stopped", "task: 0 pods are wanted")]);
    let mut gone = sample();
    let task = gone.facts.deployments.get_mut(&ScaledWorkload::Task).unwrap().status.as_mut().unwrap();
    (task.available_replicas, task.ready_replicas) = (Some(1), Some(1));
    case("gone", &gone, none(), &[(Degraded, "True PodsNotReady", "task: 1 of 2 pods are available")]);

    let mut paused = sample();
    paused.cluster.metadata.annotations = Some([("gochat.io/paused".to_owned(), "true".to_owned())].into());
    case("paused", &paused, none(), &[(Progressing, "False Paused", "")]);
    let mut invalid = new.clone();
    invalid.cluster.spec.task.pod.overrides =
        Some(serde_json::json!({ "spec": { "containers": [{ "name": "x" }] } }));
    case(
        "invalid",
        &invalid,
        none(),
        &[(Ready, "False InvalidSpec", "spec.task.pod.overrides"), (Progressing, "False InvalidSpec", "")],
    );
    let mut invalid = sample();
    invalid.cluster.spec.task.pod.overrides =
        Some(serde_json::json!({ "spec": { "containers": [{ "name": "x" }] } }));
    case(
        "invalid later",
        &invalid,
        none(),
        &[(Ready, "True AllServing", ""), (Degraded, "True InvalidSpec", "")],
    );
    let refused = vec!["Service sample-gateway: conflict with \"helm\"".to_owned()];
    let applied = Applied { refused, ..none() };
    case("refused", &sample(), applied, &[(Degraded, "True ApplyRefused", "helm")]);
    let put_back =
        vec!["Service sample-gateway: conflict with \"kubectl-edit\" using v1: .spec.type".to_owned()];
    let applied = Applied { put_back, ..none() };
    case("put back", &sample(), applied, &[(Degraded, "False FieldsPutBack", "kubectl-edit")]);
    let applied = Applied { terminating: true, ..none() };
    case(
        "namespace",
        &sample(),
        applied,
        &[(Progressing, "False NamespaceTerminating", "shop"), (Degraded, "False AsExpected", "")],
    );

    let mut missing = new.clone();
    missing.facts.secrets.remove("sample-mysql");
    case(
        "secret",
        &missing,
        none(),
        &[
            (
                DependenciesReady,
                "False SecretMissing",
                "secret sample-mysql (spec.mysql.secret) is not there",
            ),
            (Ready, "False SecretMissing", "sample-mysql"),
            (Degraded, "True SecretMissing", ""),
        ],
    );
    let mut missing = sample();
    missing.facts.secrets.get_mut("sample-redis").unwrap().keys.clear();
    case(
        "secret's key",
        &missing,
        none(),
        &[
            (
                DependenciesReady,
                "False SecretKeyMissing",
                "secret sample-redis (spec.redis.secret) has no key url",
            ),
            (Ready, "True AllServing", ""),
        ],
    );
    let mut keys = sample();
    keys.facts.signing_keys = None;
    case(
        "keys",
        &keys,
        none(),
        &[(DependenciesReady, "False SigningKeysMissing", ""), (Degraded, "False AsExpected", "")],
    );
    let mut route =
        settled(with("gateway: { httpRoute: { hostnames: [a.example.com], parentRefs: [{ name: web }] } }"));
    route.facts.capabilities.http_route = false;
    case("route", &route, none(), &[(DependenciesReady, "False HttpRouteUnknown", "spec.gateway.httpRoute")]);

    let kafka = |kafka: KafkaFacts| {
        let mut world = sample();
        world.facts.kafka = kafka;
        world
    };
    case(
        "kafka unknown",
        &kafka(KafkaFacts::Unknown),
        none(),
        &[(DependenciesReady, "Unknown KafkaNotAsked", "")],
    );
    let away = KafkaFacts::Away { why: "connection refused".to_owned() };
    case(
        "kafka away",
        &kafka(away),
        none(),
        &[
            (DependenciesReady, "False KafkaAway", "Kafka at kafka:9092 does not answer: connection refused"),
            (Ready, "True AllServing", ""),
        ],
    );
    let seen = |change: &dyn Fn(&mut KafkaFacts)| {
        let mut world = sample();
        change(&mut world.facts.kafka);
        world
    };
    let set = |name: &'static str, topic: Option<TopicFacts>| {
        move |facts: &mut KafkaFacts| {
            let KafkaFacts::Seen { topics, .. } = facts else { return };
            match topic {
                Some(topic) => topics.insert(format!("shop.sample.{name}"), topic),
                None => topics.remove(&format!("shop.sample.{name}")),
            };
        }
    };
    let topic = |partitions, replication| Some(TopicFacts { partitions, replication });
    case(
        "topics",
        &seen(&set("task", None)),
        none(),
        &[(DependenciesReady, "False TopicsMissing", "shop.sample.task"), (Degraded, "False AsExpected", "")],
    );
    case(
        "small",
        &seen(&set("upstream", topic(4, 3))),
        none(),
        &[(DependenciesReady, "False TopicTooSmall", "shop.sample.upstream has 4 partitions of 16")],
    );
    case(
        "thin",
        &seen(&set("upstream", topic(16, 1))),
        none(),
        &[(DependenciesReady, "False TopicReplication", "shop.sample.upstream has 1 replicas of 3")],
    );
    case(
        "large",
        &seen(&set("upstream", topic(20, 3))),
        none(),
        &[(
            DependenciesReady,
            "True AllThere",
            "shop.sample.upstream has 20 partitions, of which 16 are used",
        )],
    );
    let refuse = |facts: &mut KafkaFacts| {
        if let KafkaFacts::Seen { refused, .. } = facts {
            refused.insert("shop.sample.task".to_owned(), "not authorized".to_owned());
        }
    };
    case(
        "refused topic",
        &seen(&refuse),
        none(),
        &[
            (DependenciesReady, "False TopicsRefused", "shop.sample.task: not authorized"),
            (Degraded, "True TopicsRefused", ""),
        ],
    );

    let balance = |hottest| {
        let mut world = sample();
        world.facts.live.balance =
            Some(Balance { hottest, band: 1.1, text: format!("gateway: {hottest}"), first: false });
        world
    };
    case("even", &balance(1.05), none(), &[(Balanced, "True WithinBand", "gateway: 1.05")]);
    case("hot", &balance(1.4), none(), &[(Balanced, "False OutsideBand", "gateway: 1.4")]);

    let mut scaled = settled(with("logic: { autoscaling: { min: 2, max: 6 } }"));
    case("silent", &scaled, none(), &[(ScalingActive, "Unknown NoReports", "")]);
    scaled.facts.live.scaling = Signal::Active;
    case("active", &scaled, none(), &[(ScalingActive, "True Deciding", "")]);
    scaled.facts.live.scaling = Signal::Missing { why: "logic: no CPU".to_owned() };
    case("missing", &scaled, none(), &[(ScalingActive, "False MissingSignals", "logic: no CPU")]);
    let spec = GoChatScalerSpec {
        workload: ScaledWorkload::Logic,
        replicas: Some(2),
        mode: Some(ScalerMode::External),
        ..GoChatScalerSpec::default()
    };
    scaled.facts.scalers.insert(ScaledWorkload::Logic, GoChatScaler::new("chat-logic", spec));
    case("external", &scaled, none(), &[(ScalingActive, "False External", "logic: mode External")]);
    all
}

#[test]
fn each_situation_is_told_and_the_table_has_them_all() {
    let mut seen = BTreeSet::new();
    for (name, cluster, facts, applied) in situations() {
        for condition in said(&cluster, &facts, &applied).conditions {
            assert!(!condition.message.is_empty(), "{name}: {}", condition.type_);
            seen.insert(format!("{} {} {}", condition.type_, condition.status, condition.reason));
        }
    }
    let table: BTreeSet<String> = reasons::TABLE
        .iter()
        .map(|(type_, holds, reason, ..)| format!("{} {} {}", type_.as_str(), holds.as_str(), reason.name()))
        .collect();
    assert_eq!(table.len(), reasons::TABLE.len(), "a row is there twice");
    let untold: Vec<_> = table.difference(&seen).collect();
    let unknown: Vec<_> = seen.difference(&table).collect();
    assert!(untold.is_empty() && unknown.is_empty(), "never seen: {untold:?}; not in the table: {unknown:?}");
}

#[test]
fn the_page_is_made_from_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conditions.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, reasons::page()).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(page == reasons::page(), "docs/conditions.md: run this test with UPDATE_DOCS=1");
}

#[test]
fn a_second_look_at_the_same_says_the_same() {
    for (name, mut cluster, facts, applied) in situations() {
        let first = said(&cluster, &facts, &applied);
        cluster.status = Some(first.clone());
        let desired = desired(&cluster, &facts, &defaults());
        let second = status(&cluster, desired.as_ref(), &facts, &applied, &at(60));
        assert_eq!(first, second, "{name}");
    }
}

#[test]
fn a_time_is_that_of_the_last_transition() {
    let mut world = settled(cluster(MINIMAL));
    world.cluster.status = Some(of(&world));
    world.cluster.spec.task.replicas = Some(3);
    world.cluster.metadata.generation = Some(2);
    let desired = desired(&world.cluster, &world.facts, &defaults());
    let now = status(&world.cluster, desired.as_ref(), &world.facts, &Applied::default(), &at(60));
    let time = |type_: ConditionType| {
        now.conditions.iter().find(|c| c.type_ == type_.as_str()).map(|c| c.last_transition_time.clone())
    };
    assert_eq!(time(ConditionType::Progressing), Some(at(60)));
    assert_eq!(time(ConditionType::Degraded), Some(at(0)));
    assert!(now.conditions.iter().all(|condition| condition.observed_generation == Some(2)));
    assert_eq!(now.observed_generation, Some(2));
}

#[test]
fn a_rollout_is_told_step_by_step_and_the_version_only_at_its_end() {
    let mut world = settled(cluster(MINIMAL));
    world.cluster.status = Some(of(&world));
    world.cluster.spec.version = Some("0.2.0".to_owned());
    let mut steps = Vec::new();
    for _ in 0..100 {
        world.reconcile(usize::MAX);
        let status = of(&world);
        if let Some(rollout) = &status.rollout {
            assert_eq!((rollout.version.as_str(), status.version.as_deref()), ("0.2.0", Some("0.1.0")));
            if steps.last() != Some(&rollout.step) {
                steps.push(rollout.step);
            }
        }
        world.cluster.status = Some(status);
        world.tick();
    }
    let order = [
        RolloutStep::Migrate,
        RolloutStep::Repo,
        RolloutStep::Logic,
        RolloutStep::Task,
        RolloutStep::Gateway,
    ];
    assert_eq!(steps, order);
    let status = world.cluster.status.unwrap();
    assert_eq!((status.rollout, status.version.as_deref()), (None, Some("0.2.0")));
    assert_eq!(status.workloads.gateway.version.as_deref(), Some("0.2.0"));
    assert_eq!((status.workloads.task.summary.as_str(), status.workloads.task.updated), ("2/2", 2));
}

#[test]
fn the_reason_of_the_last_scaling_is_told() {
    let mut world = settled(with("logic: { autoscaling: { min: 2, max: 6 } }"));
    let wanted = Wanted { replicas: 3, reason: "logic 2 → 3: backlog".to_owned() };
    world.facts.live.wanted.insert(ScaledWorkload::Logic, wanted);
    assert_eq!(of(&world).workloads.logic.scaling.as_deref(), Some("logic 2 → 3: backlog"));
}

#[test]
fn clients_are_told_where_to_connect() {
    use k8s_openapi::api::core::v1::Service;
    let at = |spec: &str, service: serde_json::Value| {
        let cluster = with(spec);
        let service: Service = serde_json::from_value(service).unwrap();
        let facts = Facts { gateway_service: Some(service), ..super::samples::facts(&cluster) };
        said(&cluster, &facts, &Applied::default()).endpoint
    };
    let some = |text: &str| Some(text.to_owned());
    let none = serde_json::json!({});
    assert_eq!(at("", none.clone()), some("http://chat-gateway.shop.svc"));
    assert_eq!(
        at("gateway: { ingress: { host: a.example.com } }", none.clone()),
        some("http://a.example.com")
    );
    let tls = "gateway: { ingress: { host: a.example.com, tlsSecret: t } }";
    assert_eq!(at(tls, none.clone()), some("https://a.example.com"));
    let balancer = "gateway: { service: { type: LoadBalancer } }";
    assert_eq!(at(balancer, none), None, "it has no address yet");
    let with_ip = serde_json::json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "10.0.0.9" }] } } });
    assert_eq!(at(balancer, with_ip), some("http://10.0.0.9"));
}
