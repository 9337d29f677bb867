//! What a real API server makes of the definitions, and what it refuses.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::fs;
use std::io::Write as _;
use std::process::{Output, Stdio};

use gochat_crds::SAMPLE;
use gochat_engines::Kubernetes;
use serde_json::Value;

use support::{CREATE, Case, FULL, REBALANCE, UPDATE, sample_with};

/// The first place where two values differ.
fn difference(path: &str, a: &Value, b: &Value) -> Option<String> {
    let at = |name: &str, a: Option<&Value>, b: Option<&Value>| {
        difference(&format!("{path}.{name}"), a.unwrap_or(&Value::Null), b.unwrap_or(&Value::Null))
    };
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            x.keys().chain(y.keys()).find_map(|name| at(name, x.get(name), y.get(name)))
        }
        (Value::Array(x), Value::Array(y)) => {
            (0..x.len().max(y.len())).find_map(|i| at(&i.to_string(), x.get(i), y.get(i)))
        }
        // The file says 1.0 where JSON says 1.
        _ if a == b || a.as_f64().is_some_and(|x| Some(x) == b.as_f64()) => None,
        _ => Some(format!("{path}: {a} is {b}")),
    }
}

struct Cluster(Kubernetes);

impl Cluster {
    fn kubectl(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.0.kubectl();
        let mut child = command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn done(&self, args: &[&str], input: &str) -> String {
        let output = self.kubectl(args, input);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn refuses(&self, args: &[&str], case: &Case, name: &str) {
        let output = self.kubectl(args, &sample_with(name, case));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{} passes", case.spec);
        for words in case.words {
            assert!(error.contains(words), "{}\n{error}\nhas no {words:?}", case.spec);
        }
    }
}

#[tokio::test]
async fn the_api_server_takes_the_definitions_as_they_are_and_refuses_what_is_wrong() {
    if gochat_engines::missing("crds on a real API server", &[gochat_engines::Engine::Kubernetes]) {
        return;
    }
    let cluster = Cluster(Kubernetes::start().await.unwrap());
    for definition in gochat_crds::definitions() {
        let name = definition.metadata.name.unwrap();
        let file = format!("{}/yaml/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        cluster.done(&["apply", "--server-side", "-f", &file], "");
        cluster.done(&["wait", "--for=condition=Established", "--timeout=30s", &format!("crd/{name}")], "");
        let kept: Value = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let mut stored: Value =
            serde_json::from_str(&cluster.done(&["get", "crd", &name, "-o", "json"], "")).unwrap();
        let spec = stored["spec"].as_object_mut().unwrap();
        // What the server adds on its own account.
        spec.remove("conversion");
        spec["names"].as_object_mut().unwrap().remove("listKind");
        let different = difference("spec", &kept["spec"], &stored["spec"]);
        assert_eq!(different, None, "{name} is stored as it is written");
    }

    for (name, sample) in [("sample", SAMPLE), ("full", FULL), ("rebalance", REBALANCE)] {
        let output = cluster.kubectl(&["create", "--validate=strict", "-f", "-"], sample);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    for case in CREATE {
        cluster.refuses(&["create", "--dry-run=server", "--validate=strict", "-f", "-"], case, "a");
    }
    for case in UPDATE {
        cluster.refuses(&["replace", "--dry-run=server", "-f", "-"], case, "sample");
    }
    for name in ["Sample", "a.b", "1a", "a-", &"a".repeat(41)] {
        let mut sample: Value = serde_saphyr::from_str(SAMPLE).unwrap();
        sample["metadata"]["name"] = name.into();
        let output = cluster.kubectl(&["create", "--dry-run=server", "-f", "-"], &sample.to_string());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains("metadata.name"), "{name}: {error}");
    }
    let columns = cluster.done(&["get", "gochatclusters"], "");
    assert!(columns.starts_with("NAME"), "{columns}");
    for word in ["READY", "GATEWAY", "LOGIC", "REPO", "TASK", "VERSION", "WHY", "AGE"] {
        assert!(columns.lines().next().unwrap().contains(word), "{columns}");
    }
}
