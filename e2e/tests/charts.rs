//! A real API server takes what people apply: what the charts render, the example, the stores of a kind cluster.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use gochat_engines::{Engine, Kubernetes, KubernetesOptions, missing};

/// Those of the Prometheus Operator are known only where it is installed.
const UNKNOWN: &str = "apiVersion: monitoring.coreos.com/";

fn charts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("charts")
}

/// What the API server warns of, when it takes the objects; nothing is kept.
fn warnings(kubernetes: &Kubernetes, objects: &str) -> String {
    let mut kubectl = kubernetes.kubectl();
    kubectl.args(["apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-"]);
    let mut child =
        kubectl.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(objects.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    said.into_owned()
}

fn namespace(name: &str) -> String {
    format!("---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n")
}

#[tokio::test]
async fn an_api_server_takes_what_the_charts_render() {
    if missing("an_api_server_takes_what_the_charts_render", &[Engine::Kubernetes]) {
        return;
    }
    let options = KubernetesOptions { controllers: false, audit: false };
    let kubernetes = Kubernetes::start_with(options).await.unwrap();
    kubernetes.apply(&["gochat-system", "chat-a", "chat-b"].map(namespace).concat()).unwrap();

    let mut files = vec![charts().join("install.yaml")];
    files.extend(fs::read_dir(charts().join("golden")).unwrap().map(|entry| entry.unwrap().path()));
    assert!(files.len() >= 4, "{files:?}");
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let objects: Vec<_> = text.split("\n---\n").filter(|object| !object.contains(UNKNOWN)).collect();
        assert!(objects.len() > 5, "{}", file.display());
        assert_eq!(warnings(&kubernetes, &objects.join("\n---\n")), "", "{}", file.display());
    }

    // In one go, definitions and what needs them: as people do it.
    kubernetes.apply(&fs::read_to_string(charts().join("install.yaml")).unwrap()).unwrap();
    for what in ["deployment/gochat-operator", "gochatclusters"] {
        let mut get = kubernetes.kubectl();
        get.args(["get", "--namespace=gochat-system", what]);
        assert!(get.status().unwrap().success(), "{what}");
    }
    let example = charts().join("../gitops/example/chat/gochatcluster.yaml");
    assert_eq!(warnings(&kubernetes, &fs::read_to_string(example).unwrap()), "");

    // Their namespace asks for restricted pods; a template that is not gets a warning.
    let stores = charts().join("../kind/stores");
    kubernetes.apply(&fs::read_to_string(stores.join("namespace.yaml")).unwrap()).unwrap();
    for name in ["kafka", "mysql", "redis"] {
        let text = fs::read_to_string(stores.join(name).with_extension("yaml")).unwrap();
        assert_eq!(warnings(&kubernetes, &text), "", "{name}");
        let loose = text.replace("runAsNonRoot: true", "runAsNonRoot: false");
        assert!(warnings(&kubernetes, &loose).contains("would violate PodSecurity"), "{name}");
    }
}
