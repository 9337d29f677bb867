//! What the objects promise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gochat_crds::{GoChatScaler, GoChatScalerSpec, ScaledWorkload, ScalerMode};
use gochat_operator::cluster::build::Objects;
use gochat_operator::cluster::dereference::Capabilities;
use gochat_operator::cluster::{Desired, desired};
use gochat_operator::live::Wanted;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PodTemplateSpec};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt as _;
use serde_json::Value;

use super::samples::{FULL, MINIMAL, cluster, decided, defaults, facts, object, refused, with};

fn deployment(objects: &Objects, name: &str) -> Deployment {
    object(objects, "Deployment", name).unwrap().clone().try_parse().unwrap()
}

fn template(objects: &Objects, name: &str) -> PodTemplateSpec {
    deployment(objects, name).spec.unwrap().template
}

/// Every pod template, with its owner's name.
fn templates(objects: &Objects) -> Vec<(String, PodTemplateSpec)> {
    let all = objects.in_order().iter().filter_map(|object| {
        let template = match object.types.as_ref().unwrap().kind.as_str() {
            "Deployment" => object.clone().try_parse::<Deployment>().unwrap().spec.unwrap().template,
            "Job" => object.clone().try_parse::<Job>().unwrap().spec.unwrap().template,
            _ => return None,
        };
        Some((object.name_any(), template))
    });
    all.collect()
}

fn settings(objects: &Objects, workload: &str) -> Value {
    let map = objects.in_order().iter().find(|object| {
        object.types.as_ref().unwrap().kind == "ConfigMap"
            && object.labels()["gochat.io/workload"] == workload
    });
    let map: ConfigMap = map.unwrap().clone().try_parse().unwrap();
    serde_saphyr::from_str(&map.data.unwrap()["gochat.yaml"]).unwrap()
}

#[test]
fn every_pod_is_restricted() {
    let all = templates(&decided(&cluster(FULL)).objects);
    assert_eq!(all.len(), 5, "four workloads and the migration");
    for (name, template) in all {
        let pod = template.spec.unwrap();
        let security = pod.security_context.unwrap();
        assert_eq!(security.run_as_non_root, Some(true), "{name}");
        assert_eq!(security.seccomp_profile.unwrap().type_, "RuntimeDefault", "{name}");
        for container in pod.containers {
            let security = container.security_context.unwrap();
            assert_eq!(security.allow_privilege_escalation, Some(false), "{name}");
            assert_eq!(security.read_only_root_filesystem, Some(true), "{name}");
            assert_eq!(security.capabilities.unwrap().drop.unwrap(), ["ALL"], "{name}");
        }
    }
}

#[test]
fn secrets_are_files_and_never_arguments_or_variables() {
    let objects = decided(&cluster(FULL)).objects;
    let mut files = BTreeMap::new();
    for (name, template) in templates(&objects) {
        let pod = template.spec.unwrap();
        for env in pod.containers.iter().flat_map(|container| container.env.iter().flatten()) {
            assert!(
                env.value_from.as_ref().is_none_or(|from| from.secret_key_ref.is_none()),
                "{name}: {}",
                env.name
            );
        }
        let sources = pod.volumes.unwrap().remove(0).projected.unwrap().sources.unwrap();
        let items = sources.into_iter().filter_map(|source| source.secret).flat_map(|secret| {
            secret.items.unwrap().into_iter().map(move |item| format!("{}: {}", secret.name, item.path))
        });
        let component = name.split('-').nth(1).unwrap().to_owned();
        files.insert(component, items.collect::<Vec<_>>());
    }
    let kafka = [
        "kafka-ca: secrets/kafka-ca/ca.crt",
        "kafka-credentials: secrets/kafka-sasl/username",
        "kafka-credentials: secrets/kafka-sasl/password",
    ];
    let logic = ["chat-redis: secrets/redis/url", "chat-signing-keys: secrets/signing-keys/keys"];
    assert_eq!(files["gateway"], kafka);
    assert_eq!(files["task"], kafka);
    assert_eq!(files["logic"], [logic.as_slice(), &kafka].concat());
    assert_eq!(files["repo"], ["chat-mysql: secrets/mysql/url"]);
    assert_eq!(files["migrate"], ["chat-mysql: secrets/mysql/url"]);
    assert_eq!(settings(&objects, "repo")["db"]["url_file"], "/etc/gochat/secrets/mysql/url");
    assert_eq!(
        settings(&objects, "logic")["mq"]["sasl"]["password_file"],
        "/etc/gochat/secrets/kafka-sasl/password"
    );
}

#[test]
fn certificates_in_the_spec_become_a_file() {
    let objects = decided(&with(
        "kafka: { bootstrap: 'k:9093', tls: { ca: { inline: \"-----BEGIN CERTIFICATE-----\\nabc\\n\" } } }",
    ))
    .objects;
    assert_eq!(settings(&objects, "task")["mq"]["tls"]["ca_file"], "/etc/gochat/kafka-ca.crt");
}

#[test]
fn a_gateway_has_time_for_its_clients() {
    for (window, least) in [("30s", 60), ("90s", 120), ("1500ms", 32)] {
        let objects = decided(&with(&format!("gateway: {{ drain: {{ window: {window} }} }}"))).objects;
        let pod = template(&objects, "chat-gateway").spec.unwrap();
        assert_eq!(pod.termination_grace_period_seconds, Some(least), "{window}");
        let sleep = pod.containers[0].lifecycle.clone().unwrap().pre_stop.unwrap().sleep.unwrap();
        assert_eq!(sleep.seconds, 5);
    }
}

#[test]
fn who_may_call_whom() {
    let objects = decided(&with("")).objects;
    let callers = |workload: &str, port: &str| -> Option<Vec<String>> {
        let policy: NetworkPolicy = object(&objects, "NetworkPolicy", &format!("chat-{workload}"))
            .unwrap()
            .clone()
            .try_parse()
            .unwrap();
        let spec = policy.spec.unwrap();
        assert_eq!(spec.policy_types.unwrap(), ["Ingress"]);
        let rule = spec.ingress.unwrap_or_default().into_iter().find(|rule| {
            let ports = rule.ports.as_ref().unwrap();
            serde_json::to_value(&ports[0].port).unwrap() == port
        })?;
        let peers = rule.from.map(|peers| {
            let name = |peer: k8s_openapi::api::networking::v1::NetworkPolicyPeer| {
                let pods = peer.pod_selector.and_then(|s| s.match_labels).unwrap_or_default();
                pods.values().last().cloned().unwrap_or_else(|| "all pods".to_owned())
            };
            peers.into_iter().map(name).collect()
        });
        Some(peers.unwrap_or_else(|| vec!["anybody".to_owned()]))
    };
    let some = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert_eq!(callers("gateway", "http"), some(&["anybody"]));
    assert_eq!(callers("logic", "http"), None);
    assert_eq!(callers("gateway", "grpc"), some(&["gateway", "gochat-operator"]));
    assert_eq!(callers("logic", "grpc"), some(&["gateway", "gochat-operator"]));
    assert_eq!(callers("repo", "grpc"), some(&["logic", "task", "gochat-operator"]));
    assert_eq!(callers("task", "grpc"), some(&["gochat-operator"]));
    for workload in ["gateway", "logic", "repo", "task"] {
        assert_eq!(callers(workload, "admin"), some(&["all pods"]));
    }
    assert_eq!(callers("migrate", "admin"), None);

    let outside = gochat_operator::cluster::validate::Defaults { namespace: None, ..defaults() };
    let cluster = with("");
    let objects = desired(&cluster, &facts(&cluster), &outside).unwrap().objects;
    let policy = object(&objects, "NetworkPolicy", "chat-task").unwrap();
    let rules = policy.data["spec"]["ingress"].as_array().unwrap();
    assert_eq!(rules.len(), 1, "a rule with an empty list of callers would let in anybody");
}

#[test]
fn all_selectors_find_the_pods() {
    let objects = decided(&cluster(FULL)).objects;
    for workload in ["gateway", "logic", "repo", "task"] {
        let name = format!("chat-{workload}");
        let labels = template(&objects, &name).metadata.unwrap().labels.unwrap();
        let selectors = [
            ("Deployment", "/spec/selector/matchLabels"),
            ("Service", "/spec/selector"),
            ("PodDisruptionBudget", "/spec/selector/matchLabels"),
            ("NetworkPolicy", "/spec/podSelector/matchLabels"),
        ];
        for (kind, path) in selectors {
            let selector = object(&objects, kind, &name).unwrap().data.pointer(path).unwrap();
            for (key, value) in selector.as_object().unwrap() {
                assert_eq!(labels.get(key).map(String::as_str), value.as_str(), "{kind} {name}: {key}");
            }
        }
    }
}

#[test]
fn labels_of_gitops_tools_stay_on_the_cluster() {
    let mut cluster = cluster(MINIMAL);
    cluster.labels_mut().insert("argocd.argoproj.io/instance".to_owned(), "app".to_owned());
    cluster.annotations_mut().insert("argocd.argoproj.io/tracking-id".to_owned(), "app:x".to_owned());
    assert!(!decided(&cluster).objects.to_string().contains("argocd"));
}

#[test]
fn everything_is_found_again_and_goes_with_its_cluster() {
    for object in decided(&cluster(FULL)).objects.in_order() {
        assert_eq!(object.labels()["gochat.io/cluster"], "chat");
        let owner = &object.owner_references()[0];
        assert_eq!((owner.kind.as_str(), owner.controller), ("GoChatCluster", Some(true)));
        assert_eq!(object.namespace().as_deref(), Some("shop"));
        assert!(object.name_any().len() <= 63 && object.data.get("status").is_none());
    }
}

#[test]
fn the_longest_name_of_a_cluster_leaves_room_for_all_others() {
    let mut cluster = cluster(MINIMAL);
    cluster.metadata.name = Some("a".repeat(40));
    assert!(decided(&cluster).objects.in_order().iter().all(|object| object.name_any().len() <= 63));
}

#[test]
fn kinds_that_the_api_server_does_not_know_are_left_out() {
    let cluster = with("gateway: { httpRoute: { hostnames: [a.example.com], parentRefs: [{ name: web }] } }");
    let kinds = |capabilities: Capabilities| -> BTreeSet<String> {
        let facts = gochat_operator::cluster::dereference::Facts { capabilities, ..facts(&cluster) };
        let objects = desired(&cluster, &facts, &defaults()).unwrap().objects;
        objects.in_order().iter().map(|object| object.types.clone().unwrap().kind).collect()
    };
    let all = kinds(Capabilities { pod_monitor: true, prometheus_rule: true, http_route: true });
    let few = kinds(Capabilities::default());
    let missing: Vec<_> = all.difference(&few).map(String::as_str).collect();
    assert_eq!(missing, ["HTTPRoute", "PodMonitor", "PrometheusRule"]);
}

#[test]
fn only_pods_that_a_change_concerns_are_made_anew() {
    let hashes = |spec: &str| -> BTreeMap<String, String> {
        let objects = decided(&with(spec)).objects;
        let hash = |template: PodTemplateSpec| {
            template.metadata.unwrap().annotations.unwrap()["gochat.io/template-hash"].clone()
        };
        let all = ["gateway", "logic", "repo", "task"];
        all.into_iter().map(|w| (w.to_owned(), hash(template(&objects, &format!("chat-{w}"))))).collect()
    };
    let before = hashes("");
    let changed = |spec: &str| -> Vec<String> {
        hashes(spec).into_iter().filter(|(w, hash)| before[w] != *hash).map(|(w, _)| w).collect()
    };
    assert_eq!(changed("limits: { connections: 5000 }"), ["gateway"]);
    assert_eq!(changed("redis: { secret: { name: r } }"), ["logic"]);
    assert_eq!(changed("repo: { maxConnections: 7 }"), ["repo"]);
    assert_eq!(changed("observability: { logFilter: debug }"), ["gateway", "logic", "repo", "task"]);
    assert_eq!(
        changed("kafka: { bootstrap: 'kafka:9092', topics: { replication: 1 } }"),
        ["gateway", "logic", "task"]
    );
    for nothing in [
        "rebalance: { bandPercent: 20 }",
        "gateway: { service: { type: LoadBalancer } }",
        "gateway: { replicas: 9 }",
        "deletion: { topics: Delete }",
        "gateway: { shards: 64, drain: { window: 30s } }",
        "observability: { metrics: { alerts: false } }",
    ] {
        assert_eq!(changed(nothing), [""; 0], "{nothing}");
    }
}

#[test]
fn overrides_are_merged_by_name() {
    let objects = decided(&with(
        "gateway: { pod: { overrides: { metadata: { annotations: { a: b } }, spec: { \
           hostAliases: [{ ip: 10.0.0.1, hostnames: [x] }], \
           containers: [{ name: gateway, env: [{ name: A, value: '1' }] }, { name: side, image: 'side:1' }] } } } }",
    ))
    .objects;
    let template = template(&objects, "chat-gateway");
    assert_eq!(template.metadata.unwrap().annotations.unwrap()["a"], "b");
    let pod = template.spec.unwrap();
    let names: Vec<_> = pod.containers.iter().map(|container| container.name.as_str()).collect();
    assert_eq!(names, ["gateway", "side"]);
    let env: Vec<_> = pod.containers[0].env.iter().flatten().map(|env| env.name.as_str()).collect();
    assert_eq!(env, ["GOCHAT_GATEWAY__MEMBER", "A"]);
    assert_eq!(pod.containers[0].ports.as_ref().unwrap().len(), 3);
    assert_eq!(pod.host_aliases.unwrap()[0].ip, "10.0.0.1");
}

#[test]
fn what_can_not_be_built_is_refused_by_field() {
    for (spec, field, words) in [
        (
            "gateway: { pod: { overrides: { spec: { containers: [{ name: gatewey, env: [] }] } } } }",
            "spec.gateway.pod.overrides.spec.containers[gatewey]",
            "name it gateway",
        ),
        (
            "task: { pod: { overrides: { spec: { containers: [{ name: task, enviroment: [{}] }] } } } }",
            "spec.task.pod.overrides.spec.containers[0].enviroment",
            "no such field",
        ),
        ("repo: { pod: { overrides: { spec: [1] } } }", "spec.repo.pod.overrides", "expected"),
        (
            "logic: { pod: { overrides: { metadata: { labels: { 'gochat.io/workload': x } } } } }",
            "spec.logic.pod.overrides.metadata.labels[gochat.io/workload]",
            "has to stay logic",
        ),
        (
            "logic: { pod: { affinity: { nodeAfinity: { a: 1 } } } }",
            "spec.logic.pod.affinity.nodeAfinity",
            "no such",
        ),
        (
            "logic: { pod: { topologySpreadConstraints: [{ maxSkew: many }] } }",
            "spec.logic.pod.topologySpreadConstraints[0]",
            "invalid type",
        ),
    ] {
        let invalid = refused(&with(spec));
        assert_eq!(invalid.field, field);
        assert!(invalid.reason.contains(words), "{invalid}");
    }
}

const SCALED: &str = "logic: { autoscaling: { min: 3, max: 6 } }, task: { replicas: 4 }";

fn replicas(decided: &Desired, workload: &str) -> (Option<i64>, i64) {
    let of = |kind| {
        object(&decided.objects, kind, &format!("chat-{workload}")).unwrap().data["spec"]["replicas"].as_i64()
    };
    (of("GoChatScaler"), of("Deployment").unwrap())
}

#[test]
fn the_number_of_pods_is_the_specs_or_the_autoscalers() {
    let cluster = with(SCALED);
    let mut facts = facts(&cluster);
    let of = |facts: &_, workload| replicas(&desired(&cluster, facts, &defaults()).unwrap(), workload);
    assert_eq!(of(&facts, "gateway"), (Some(2), 2));
    assert_eq!(of(&facts, "task"), (Some(4), 4));
    assert_eq!(of(&facts, "logic"), (Some(3), 3), "the least, before load is known");
    let mut wanted = |replicas, task| {
        for (workload, replicas) in [(ScaledWorkload::Logic, replicas), (ScaledWorkload::Task, task)] {
            facts.live.wanted.insert(workload, Wanted { replicas, reason: String::new() });
        }
        (of(&facts, "logic"), of(&facts, "task"))
    };
    assert_eq!(wanted(5, 9), ((Some(5), 5), (Some(4), 4)), "who has no autoscaling is not scaled");
    assert_eq!(wanted(9, 9).0, (Some(6), 6), "bounds that were lowered hold at once");
    assert_eq!(wanted(0, 9).0, (Some(3), 3));
}

#[test]
fn nothing_is_scaled_down_while_the_autoscaler_is_silent() {
    let cluster = with(SCALED);
    let mut facts = facts(&cluster);
    let spec = GoChatScalerSpec {
        workload: ScaledWorkload::Logic,
        replicas: Some(5),
        ..GoChatScalerSpec::default()
    };
    facts.scalers.insert(ScaledWorkload::Logic, GoChatScaler::new("chat-logic", spec));
    assert_eq!(replicas(&desired(&cluster, &facts, &defaults()).unwrap(), "logic"), (Some(5), 5));
}

#[test]
fn in_mode_external_the_scaler_is_followed_and_not_written_once_somebody_has() {
    let cluster = with(SCALED);
    let mut facts = facts(&cluster);
    let mut scaler = |mode, replicas, manager: Option<&str>| {
        let spec = GoChatScalerSpec {
            workload: ScaledWorkload::Task,
            replicas,
            mode,
            ..GoChatScalerSpec::default()
        };
        let mut scaler = GoChatScaler::new("chat-task", spec);
        scaler.metadata.managed_fields = manager.map(|manager| {
            let entry =
                serde_json::json!({ "manager": manager, "fieldsV1": { "f:spec": { "f:replicas": {} } } });
            vec![serde_json::from_value(entry).unwrap()]
        });
        facts.scalers.insert(ScaledWorkload::Task, scaler);
        replicas_of(&cluster, &facts)
    };
    let external = Some(ScalerMode::External);
    assert_eq!(scaler(external, Some(9), Some("hpa")), (None, 9));
    assert_eq!(scaler(external, Some(9), None), (Some(9), 9), "an HPA asks `/scale` before it writes it");
    assert_eq!(scaler(external, None, None), (Some(4), 4), "nobody has said a number yet");
    assert_eq!(scaler(Some(ScalerMode::Auto), Some(9), Some("hpa")), (Some(4), 4), "taken back");
}

fn replicas_of(
    cluster: &gochat_crds::GoChatCluster,
    facts: &gochat_operator::cluster::dereference::Facts,
) -> (Option<i64>, i64) {
    replicas(&desired(cluster, facts, &defaults()).unwrap(), "task")
}

/// Every word of the alerts that looks like one of our metrics, in the services' sources.
#[test]
fn alerts_are_about_metrics_that_there_are() {
    fn sources(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                sources(&entry, text);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(&entry).unwrap());
            }
        }
    }
    let mut text = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../services"), &mut text);
    let objects = decided(&with("")).objects;
    let rules = object(&objects, "PrometheusRule", "chat").unwrap();
    let rules = rules.data["spec"]["groups"][0]["rules"].as_array().unwrap();
    let mut seen = 0;
    for rule in rules {
        let expr = rule["expr"].as_str().unwrap();
        assert!(expr.contains("namespace=\"shop\",gochat_io_cluster=\"chat\""), "{expr}");
        let words = expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for metric in words.filter(|word| word.starts_with("gochat_") && *word != "gochat_io_cluster") {
            let name = metric.trim_end_matches("_bucket");
            assert!(text.contains(&format!("\"{name}\"")), "no service has a metric {name}");
            seen += 1;
        }
    }
    assert!(seen >= rules.len());
}

#[test]
fn the_same_input_gives_the_same_letters() {
    let cluster = cluster(FULL);
    assert_eq!(decided(&cluster).objects.to_string(), decided(&cluster).objects.to_string());
}
