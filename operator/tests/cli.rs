//! The command line, as a process.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that can't go on fails")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn operator(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gochat-operator")).args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn file(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

#[test]
fn render_prints_every_object_without_a_cluster() {
    let sample = file("../crds/samples/gochatcluster.yaml");
    let printed = text(&operator(&["render", "-f", &sample, "-n", "shop", "--without", "PodMonitor"]));
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(&printed).unwrap();
    let count = |kind: &str| documents.iter().filter(|document| document["kind"] == kind).count();
    assert_eq!((count("Deployment"), count("GoChatScaler"), count("Job")), (4, 4, 1));
    assert_eq!((count("PodMonitor"), count("PrometheusRule")), (0, 1));
    assert!(documents.iter().all(|document| document["metadata"]["namespace"] == "shop"));
    // An API server would refuse an owner without a uid.
    assert!(!printed.contains("ownerReferences"));
}

#[test]
fn a_file_that_can_not_be_used_is_told_with_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.yaml");
    let head = "apiVersion: gochat.io/v1alpha1\nkind: GoChatCluster\nmetadata: { name: chat }\n";
    let spec = "kafka: { bootstrap: 'k:9092' }, mysql: { secret: { name: m } }";
    for (more, words) in [
        ("gateway: { shard: 16 }", "unknown field `spec.gateway.shard`; did you mean `spec.gateway.shards`?"),
        (
            "task: { pod: { overrides: { spec: { volume: [1] } } } }",
            "spec.task.pod.overrides.spec.volume: there is no such field",
        ),
    ] {
        std::fs::write(&path, format!("{head}spec: {{ {spec}, {more} }}\n")).unwrap();
        let output = operator(&["render", "-f", &path.display().to_string()]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(words), "{error}");
    }
}

#[test]
fn crds_prints_all_definitions() {
    let printed = text(&operator(&["crds"]));
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(&printed).unwrap();
    let names: Vec<_> =
        documents.iter().map(|document| document["spec"]["names"]["shortNames"][0].clone()).collect();
    assert_eq!(names, ["gcc", "gcp", "gcs", "gcr"]);
}

#[test]
fn simulate_prints_a_table_and_writes_decisions_and_a_drawing() {
    let folder = tempfile::tempdir().unwrap();
    let (json, svg) = (folder.path().join("a.jsonl"), folder.path().join("a.svg"));
    let trace = file("brain/traces/step.csv");
    let paths = [json.display().to_string(), svg.display().to_string()];
    let table = text(&operator(&["simulate", "--trace", &trace, "--json", &paths[0], "--svg", &paths[1]]));
    assert!(table.contains("gateway") && table.lines().all(|line| line.chars().count() <= 100), "{table}");
    assert!(std::fs::read_to_string(json).unwrap().lines().all(|line| line.starts_with('{')));
    assert!(std::fs::read_to_string(svg).unwrap().starts_with("<svg"));
}
