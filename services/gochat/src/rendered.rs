//! The settings that the operator writes for pods: one that this binary doesn't know would stop every pod at its start.

use std::path::PathBuf;
use std::time::Duration;

use gochat_core::Workload;
use serde_json::Value;

use crate::settings::Settings;

const FULL: &str = include_str!("../../../operator/tests/golden/full.snap");
const MINIMAL: &str = include_str!("../../../operator/tests/golden/minimal.snap");

/// `gochat.yaml` of each workload, and of the migration.
fn rendered(golden: &str) -> Vec<(String, String)> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(golden).unwrap();
    let maps = documents.iter().filter(|document| document["kind"] == "ConfigMap");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    maps.map(|map| {
        (text(&map["metadata"]["labels"]["gochat.io/workload"]), text(&map["data"]["gochat.yaml"]))
    })
    .collect()
}

fn load(text: &str) -> Settings {
    let settings: Settings = gochat_chassis::config::parse(text, "gochat.yaml").unwrap();
    settings.check().unwrap();
    settings
}

#[test]
fn every_setting_that_the_operator_writes_is_known_and_in_its_range() {
    for golden in [MINIMAL, FULL] {
        let files = rendered(golden);
        assert_eq!(files.len(), 5, "four workloads and the migration");
        for (component, text) in files {
            let settings = load(&text);
            let workload = [Workload::Gateway, Workload::Logic, Workload::Repo, Workload::Task]
                .into_iter()
                .find(|workload| workload.as_str() == component);
            if let Some(workload) = workload {
                settings.require_engines(workload).unwrap();
                assert_eq!(settings.coord.kubernetes.cluster, if golden == FULL { "chat" } else { "sample" });
            }
        }
    }
}

#[test]
fn what_a_person_writes_in_a_cluster_is_what_a_service_does() {
    let files = rendered(FULL);
    let of = |component: &str| load(&files.iter().find(|(name, _)| name == component).unwrap().1);
    let gateway = of("gateway");
    assert_eq!((gateway.topics.shards, gateway.topics.replication), (64, 3));
    assert_eq!((gateway.gateway.drain_rate, gateway.gateway.drain_window), (500, Duration::from_secs(30)));
    assert_eq!(gateway.gateway.limits.connections, 100_000);
    assert!((gateway.telemetry.sample_ratio - 0.01).abs() < 1e-9);
    assert_eq!(gateway.mq.prefix, "chat");
    assert!(gateway.mq.tls.enabled);
    let logic = of("logic");
    assert_eq!(logic.logic.auth.access_lifetime, Duration::from_mins(15));
    assert_eq!(logic.mq.sasl.mechanism, "SCRAM-SHA-512");
    let files = [
        (of("repo").db.url_file, "mysql/url"),
        (logic.cache.redis_file, "redis/url"),
        (logic.logic.auth.keys_file, "signing-keys/keys"),
        (logic.mq.tls.ca_file, "kafka-ca/ca.crt"),
    ];
    for (file, path) in files {
        assert_eq!(file, Some(PathBuf::from(format!("/etc/gochat/secrets/{path}"))));
    }
}
