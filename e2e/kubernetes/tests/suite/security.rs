//! Pods are restricted, and may no more than they need.

use std::time::Duration;

use anyhow::Result;
use gochat_e2e_kubernetes::{Chat, kubectl, shared};
use serde_json::Value;

/// Every namespace of these tests enforces the *restricted* Pod Security Standard: that pods run is the proof for them.
#[test]
fn pods_run_where_only_restricted_ones_may_and_can_do_no_more_than_is_written_down() -> Result<()> {
    let Some(_cluster) =
        shared("pods_run_where_only_restricted_ones_may_and_can_do_no_more_than_is_written_down")
    else {
        return Ok(());
    };
    let chat = Chat::create("e2e-security", "  gateway: { shards: 16, service: { type: NodePort } }")?;
    chat.ready(Duration::from_secs(180))?;
    for pod in ["gateway", "logic", "repo", "task"].into_iter().flat_map(|w| chat.pods(w).unwrap()) {
        let container = &pod["spec"]["containers"][0]["securityContext"];
        assert_eq!(container["readOnlyRootFilesystem"], Value::Bool(true), "{}", pod["metadata"]["name"]);
        let environment = pod["spec"]["containers"][0]["env"].to_string();
        assert!(!environment.contains("secretKeyRef"), "a secret in an environment: {environment}");
    }
    let accounts = chat.get(&["serviceaccounts"])?;
    let mut seen = String::new();
    for account in
        accounts["items"].as_array().into_iter().flatten().filter_map(|a| a["metadata"]["name"].as_str())
    {
        if account == "default" {
            continue;
        }
        let user = format!("system:serviceaccount:{}:{account}", chat.namespace());
        let rights = kubectl(&["auth", "can-i", "--list", "--as", &user, "--namespace", chat.namespace()])?;
        let mut lines: Vec<_> =
            rights.lines().skip(1).filter(|line| !everybody_has(line)).map(squeezed).collect();
        lines.sort();
        seen = [seen, account.to_owned(), "\n".into(), lines.join("\n"), "\n".into()].concat();
    }
    let kept = include_str!("rights.txt");
    assert_eq!(seen, kept, "e2e/kubernetes/tests/suite/rights.txt lists what each ServiceAccount may");
    Ok(())
}

/// What Kubernetes gives to every authenticated user: reviews of its own rights, discovery, health.
fn everybody_has(line: &str) -> bool {
    line.starts_with("selfsubject")
        || line.starts_with("clustertrustbundles")
        || line.trim_start().starts_with('[')
}

fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
