//! Scaling, a new version, and the end.

use std::time::Duration;

use anyhow::{Result, ensure};
use gochat_e2e_kubernetes::{Chat, eventually, kubectl, shared};
use serde_json::Value;

const SPEC: &str = "  gateway: { shards: 16, service: { type: NodePort } }";

#[test]
fn kubectl_scale_takes_a_workload_over_and_pods_follow() -> Result<()> {
    let Some(_cluster) = shared("kubectl_scale_takes_a_workload_over_and_pods_follow") else { return Ok(()) };
    let chat = Chat::create("e2e-scale", SPEC)?;
    chat.ready(Duration::from_secs(180))?;
    chat.kubectl(&["scale", "gochatscaler/chat-logic", "--replicas=3"])?;
    let three = || Ok(chat.pods("logic")?.len() == 3);
    eventually("three pods of logic", Duration::from_secs(60), three)?;
    chat.ready(Duration::from_secs(60))?;
    let scaler = chat.get(&["gochatscaler", "chat-logic"])?;
    ensure!(scaler.pointer("/spec/replicas").and_then(Value::as_u64) == Some(3), "{scaler}");
    Ok(())
}

#[test]
fn a_version_that_does_not_start_stops_the_rollout_and_the_old_pods_serve_on() -> Result<()> {
    let Some(_cluster) = shared("a_version_that_does_not_start_stops_the_rollout_and_the_old_pods_serve_on")
    else {
        return Ok(());
    };
    let chat = Chat::create("e2e-upgrade", SPEC)?;
    chat.ready(Duration::from_secs(180))?;
    let load = chat.load("load", &["--pairs", "10", "--rate", "50", "--duration", "60s"])?;
    load.under_way(&chat)?;

    // There is no such image: the migration can't even start.
    chat.apply(&format!("  version: no-such-version\n{SPEC}"))?;
    let told = || {
        let status = chat.get(&["gochatcluster", Chat::NAME])?;
        Ok(status.pointer("/status/rollout/version") == Some(&"no-such-version".into()))
    };
    eventually("the rollout is told", Duration::from_secs(60), told)?;
    // Back to the version that runs: nothing was restarted.
    let before = restarts_and_ages(&chat)?;
    chat.apply(SPEC)?;
    chat.ready(Duration::from_secs(120))?;
    ensure!(before == restarts_and_ages(&chat)?, "pods were replaced by a version that never ran");
    load.report(Duration::from_mins(4))?.ensure_clean()
}

#[test]
fn a_deleted_cluster_leaves_nothing_and_its_namespace_goes() -> Result<()> {
    let Some(_cluster) = shared("a_deleted_cluster_leaves_nothing_and_its_namespace_goes") else {
        return Ok(());
    };
    let chat = Chat::create("e2e-deletion", &format!("  deletion: {{ topics: Delete }}\n{SPEC}"))?;
    chat.ready(Duration::from_secs(180))?;
    chat.kubectl(&["delete", "gochatcluster", Chat::NAME, "--timeout=90s"])?;
    // Not that it tried: that Kafka said they are gone.
    let told = || {
        let selector = "--field-selector=reason=TopicsDeleted";
        let events = chat.kubectl(&["get", "events", selector, "-o", "yaml"])?;
        let topic = |name: &&str| events.contains(&format!("e2e-deletion.chat.{name}"));
        Ok(["upstream", "downstream", "task"].iter().all(topic))
    };
    eventually("it is told that the topics are deleted", Duration::from_secs(10), told)?;
    let gone = || {
        let left = chat.get(&[
            "all,configmaps,secrets,roles,rolebindings,networkpolicies,gochatplacements,gochatscalers",
            "-l",
            "gochat.io/cluster=chat",
        ])?;
        Ok(left.get("items").and_then(Value::as_array).is_some_and(|items| {
            // The signing keys stay, by the default policy.
            items.iter().all(|item| item.get("kind") == Some(&"Secret".into()))
        }))
    };
    eventually("all that was the cluster's is gone", Duration::from_secs(90), gone)?;
    kubectl(&["delete", "namespace", chat.namespace(), "--timeout=90s"])?;
    Ok(())
}

/// Each pod by its name and restarts, sorted.
fn restarts_and_ages(chat: &Chat) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for workload in ["gateway", "logic", "repo", "task"] {
        for pod in chat.pods(workload)? {
            let restarts = pod.pointer("/status/containerStatuses/0/restartCount");
            all.push(format!("{:?} {restarts:?}", pod.pointer("/metadata/name")));
        }
    }
    all.sort();
    Ok(all)
}
