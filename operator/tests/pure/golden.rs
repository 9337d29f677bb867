//! Golden files: every object of a few clusters as it is applied, and the hash of every pod template.
//!
//! After a change that is meant: `INSTA_UPDATE=always UPDATE_HASHES=1 cargo test -p gochat-operator --test pure golden`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use gochat_crds::{GoChatCluster, GoChatScaler, GoChatScalerSpec, ScaledWorkload};
use gochat_operator::cluster::build::Objects;
use gochat_operator::cluster::desired;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::json;

use super::kubelet::World;
use super::samples::{FULL, MINIMAL, cluster, decided, defaults, facts};

fn assert_golden(name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => "../golden",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn the_minimal_sample() {
    assert_golden("minimal", &decided(&cluster(MINIMAL)).objects.to_string());
}

#[test]
fn every_field_set() {
    assert_golden("full", &decided(&cluster(FULL)).objects.to_string());
}

#[test]
fn scaled_by_somebody_else() {
    let cluster = cluster(MINIMAL);
    let mut facts = facts(&cluster);
    let spec = GoChatScalerSpec {
        cluster: "sample".to_owned(),
        workload: ScaledWorkload::Gateway,
        replicas: Some(7),
        mode: None,
    };
    let mut scaler = GoChatScaler::new("sample-gateway", spec);
    scaler.metadata.managed_fields = Some(vec![ManagedFieldsEntry {
        manager: Some("kube-controller-manager".to_owned()),
        subresource: Some("scale".to_owned()),
        fields_v1: Some(FieldsV1(json!({ "f:spec": { "f:replicas": {} } }))),
        ..ManagedFieldsEntry::default()
    }]);
    facts.scalers.insert(ScaledWorkload::Gateway, scaler);
    let objects = desired(&cluster, &facts, &defaults()).unwrap().objects;
    let shown = only(&objects, &["GoChatScaler", "Deployment"], "sample-gateway");
    assert_golden("external-scaler", &shown);
}

#[test]
fn in_the_middle_of_a_version_change() {
    let mut world = World::new(cluster(MINIMAL));
    world.settle();
    world.cluster.spec.version = Some("0.2.0".to_owned());
    // The migration is done and the first new pod of repo runs.
    world.until(|world| world.pods(ScaledWorkload::Repo).updated == 1);
    let decided = world.decide();
    let mut shown = format!("# {:?}\n", decided.rollout.progress);
    for object in decided.objects.in_order().iter().filter(|o| o.types.as_ref().unwrap().kind == "Deployment")
    {
        let deployment: Deployment = object.clone().try_parse().unwrap();
        let template = deployment.spec.unwrap().template;
        let pod = template.spec.unwrap();
        let _ = writeln!(
            shown,
            "{}: {} {:?}",
            deployment.metadata.name.unwrap(),
            pod.containers[0].image.as_ref().unwrap(),
            template.metadata.unwrap().annotations.unwrap(),
        );
    }
    assert_golden("mid-rollout", &shown);
}

fn only(objects: &Objects, kinds: &[&str], name: &str) -> String {
    let wanted = objects.in_order().iter().filter(|object| {
        kinds.contains(&object.types.as_ref().unwrap().kind.as_str())
            && object.metadata.name.as_deref() == Some(name)
    });
    let yaml = wanted.map(|object| serde_saphyr::to_string(object).unwrap().trim_end().to_owned());
    yaml.collect::<Vec<_>>().join("\n---\n")
}

/// What an operator of this version knows the pods of some clusters by.
fn hashes() -> BTreeMap<String, String> {
    let httproute = "gateway: {httpRoute: {hostnames: [a.example.com], parentRefs: [{name: web}]}}";
    let clusters: [(&str, GoChatCluster); 3] = [
        ("minimal", cluster(MINIMAL)),
        ("full", cluster(FULL)),
        ("own-keys", super::samples::with(&format!("auth: {{keysSecret: {{name: keys}}}}, {httproute}"))),
    ];
    let mut all = BTreeMap::new();
    for (name, cluster) in clusters {
        for object in decided(&cluster).objects.in_order() {
            if object.types.as_ref().unwrap().kind == "Deployment" {
                let annotations = &object.data["spec"]["template"]["metadata"]["annotations"];
                let workload = object.metadata.labels.as_ref().unwrap()["gochat.io/workload"].clone();
                let hash = annotations["gochat.io/template-hash"].as_str().unwrap().to_owned();
                all.insert(format!("{name}/{workload}"), hash);
            }
        }
    }
    all
}

#[test]
fn an_operator_upgrade_restarts_no_pod_unless_it_is_meant() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/template-hashes.txt");
    let now = hashes();
    if std::env::var_os("UPDATE_HASHES").is_some() {
        let lines: Vec<_> = now.iter().map(|(of, hash)| format!("{of} {hash}")).collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let before: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once(' ')).collect();
    let changed: Vec<_> = now
        .iter()
        .filter(|(of, hash)| before.get(of.as_str()) != Some(&hash.as_str()))
        .map(|(of, _)| of.as_str())
        .collect();
    assert!(
        changed.is_empty() && before.len() == now.len(),
        "pod template of {} changed: an operator upgrade would restart every pod. Where that is meant, run this test with \
         UPDATE_HASHES=1 and say so in the release notes",
        changed.join(", ")
    );
}
