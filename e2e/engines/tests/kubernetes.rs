//! The control plane does what the operator's tests rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gochat_engines::{Engine, Kubernetes, KubernetesOptions, Request, missing};

const DEPLOYMENT: &str = r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
        "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}}}"#;

#[tokio::test]
async fn a_deployment_gets_its_pods_and_they_stay_pending() {
    if missing("a_deployment_gets_its_pods_and_they_stay_pending", &[Engine::Kubernetes]) {
        return;
    }
    let kubernetes = Kubernetes::shared().await.unwrap();
    kubernetes.apply(DEPLOYMENT).unwrap();
    let pods = ["get", "pods", "--selector=app=web", "--output=jsonpath={.items[*].status.phase}"];
    until("two pods are pending", || output(kubernetes.kubectl().args(pods)) == "Pending Pending").await;
}

#[tokio::test]
async fn a_request_is_in_the_audit_log_with_who_asked_for_what() {
    if missing("a_request_is_in_the_audit_log_with_who_asked_for_what", &[Engine::Kubernetes]) {
        return;
    }
    let kubernetes = Kubernetes::shared().await.unwrap();
    kubernetes.apply(&config_map("default", "audited")).unwrap();
    let found = || {
        let requests = kubernetes.requests().unwrap();
        requests.into_iter().find(|request| request.is_write() && request.uri.contains("/configmaps"))
    };
    until("the write is logged", || found().is_some()).await;
    let request = found().unwrap();
    assert_eq!((request.user.as_str(), request.verb.as_str(), request.code), ("admin", "patch", 201));
    assert_eq!((request.group.as_str(), request.resource.as_str()), ("", "configmaps"));
    assert_eq!(request.namespace.as_deref(), Some("default"));
    assert_eq!(request.name.as_deref(), Some("audited"));
    assert!(request.user_agent.starts_with("kubectl"), "{}", request.user_agent);
    assert!(request.at.elapsed().unwrap() < Duration::from_mins(5));
    let users = kubernetes.requests().unwrap().into_iter().map(|request| request.user);
    assert_eq!(users.filter(|user| user.starts_with("system:kube-")).count(), 0);
}

#[tokio::test]
async fn a_watch_is_in_the_audit_log_while_it_goes_on() {
    if missing("a_watch_is_in_the_audit_log_while_it_goes_on", &[Engine::Kubernetes]) {
        return;
    }
    let kubernetes = Kubernetes::shared().await.unwrap();
    let mut kubectl = kubernetes.kubectl();
    kubectl.args(["get", "limitranges", "--watch"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut watching = kubectl.spawn().unwrap();
    let watches = |request: &Request| (&*request.resource, &*request.verb) == ("limitranges", "watch");
    until("the watch is logged", || kubernetes.requests().unwrap().iter().any(watches)).await;
    assert_eq!(watching.try_wait().unwrap(), None, "it ended");
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[tokio::test]
async fn a_service_account_may_do_what_rbac_gives_it() {
    if missing("a_service_account_may_do_what_rbac_gives_it", &[Engine::Kubernetes]) {
        return;
    }
    let kubernetes = Kubernetes::shared().await.unwrap();
    for arguments in [
        "create namespace rbac",
        "create serviceaccount reader -n rbac",
        "create role reader -n rbac --verb=get --resource=configmaps",
        "create rolebinding reader -n rbac --role=reader --serviceaccount=rbac:reader",
    ] {
        output(kubernetes.kubectl().args(arguments.split(' ')));
    }
    kubernetes.apply(&config_map("rbac", "readable")).unwrap();
    let kubeconfig = kubernetes.kubeconfig_for("rbac", "reader").unwrap();
    let as_reader = |arguments: &str| {
        let mut kubectl = kubernetes.kubectl();
        kubectl.env("KUBECONFIG", &kubeconfig).args(arguments.split(' ')).output().unwrap()
    };
    until("the role is in force", || as_reader("get configmap readable -n rbac").status.success()).await;
    let refused = as_reader("delete configmap readable -n rbac");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("Forbidden") && said.contains("system:serviceaccount:rbac:reader"), "{said}");
}

#[tokio::test]
async fn what_the_api_server_refuses_is_an_error_with_its_words() {
    if missing("what_the_api_server_refuses_is_an_error_with_its_words", &[Engine::Kubernetes]) {
        return;
    }
    let kubernetes = Kubernetes::shared().await.unwrap();
    let refused = kubernetes.apply(&config_map("nowhere", "lost")).unwrap_err().to_string();
    assert!(refused.contains(r#"namespaces "nowhere" not found"#), "{refused}");
}

#[tokio::test]
async fn a_killed_api_server_comes_back_with_its_objects() {
    if missing("a_killed_api_server_comes_back_with_its_objects", &[Engine::Kubernetes]) {
        return;
    }
    let options = KubernetesOptions { controllers: false, audit: false };
    let kubernetes = Kubernetes::start_with(options).await.unwrap();
    kubernetes.apply(&config_map("default", "kept")).unwrap();
    let before = kubernetes.pids();
    kubernetes.kill_api_server().unwrap();
    assert!(!kubernetes.kubectl().args(["get", "namespaces"]).output().unwrap().status.success());
    kubernetes.restart_api_server().await.unwrap();
    let after = kubernetes.pids();
    assert_eq!((before[0].clone(), before.len()), (after[0].clone(), after.len()), "etcd went on");
    assert_ne!(before[1], after[1], "the API server was started again");
    output(kubernetes.kubectl().args(["get", "configmap", "kept"]));
    assert_eq!(kubernetes.requests().unwrap(), []);
}

#[tokio::test]
async fn a_dropped_control_plane_leaves_no_process() {
    if missing("a_dropped_control_plane_leaves_no_process", &[Engine::Kubernetes]) {
        return;
    }
    let kubernetes = Kubernetes::start().await.unwrap();
    let pids = kubernetes.pids();
    assert_eq!(pids.len(), 4);
    drop(kubernetes);
    for (name, pid) in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{name} still runs");
    }
}

fn config_map(namespace: &str, name: &str) -> String {
    format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{namespace: {namespace}, name: {name}}}}}")
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
