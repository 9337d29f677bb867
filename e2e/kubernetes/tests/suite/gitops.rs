//! Another tool owns the resource, by server-side apply: as Argo CD and Flux do.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gochat_e2e_kubernetes::{Chat, eventually, feed, shared, stays};
use serde_json::Value;

const SPEC: &str = "  gateway: { shards: 16, service: { type: NodePort } }";
/// What Argo CD writes on all that it applies, to know it again.
const TRACKED: &str = "metadata:
  name: chat
  labels: { app.kubernetes.io/instance: tracked-by-argocd }
  annotations: { argocd.argoproj.io/tracking-id: \"tracked-by-argocd:gochat.io/GoChatCluster:e2e-gitops/chat\" }";
const CHILDREN: &str = "deployments,services,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies,\
    poddisruptionbudgets,jobs,pods,gochatplacements,gochatscalers";

#[test]
fn what_another_tool_applies_again_differs_in_nothing_and_is_written_nowhere() -> Result<()> {
    let Some(_cluster) = shared("what_another_tool_applies_again_differs_in_nothing_and_is_written_nowhere")
    else {
        return Ok(());
    };
    let chat = Chat::prepare("e2e-gitops")?;
    let resource = Chat::resource(SPEC)?.replace("metadata: { name: chat }", TRACKED);
    ensure!(resource.contains(TRACKED), "{resource}");
    apply(&chat, &resource)?;
    chat.kubectl(&["wait", "--for=condition=Ready", "gochatcluster/chat", "--timeout=180s"])
        .with_context(|| chat.diagnosis())?;
    let before = at_rest(&chat)?;
    ensure!(before.len() > 20, "only {before:?}");

    diff(&chat, &resource)?;
    apply(&chat, &resource)?;
    stays("no object is written", Duration::from_secs(10), || {
        let now = versions(&chat)?;
        let written: Vec<_> =
            now.iter().filter(|(name, version)| before.get(*name) != Some(version)).collect();
        ensure!(now.len() == before.len() && written.is_empty(), "written: {written:?}, of {before:?}");
        Ok(true)
    })?;
    eprintln!("applied again: no difference, and none of {} objects written in 10 s", before.len());

    // A prune by label must not reach what the operator made.
    for child in items(&chat)? {
        ensure!(!child.to_string().contains("argocd"), "the tracking spread: {child}");
    }
    let scaled = resource.replace("shards: 16,", "shards: 16, replicas: 3,");
    apply(&chat, &scaled)?;
    let took = chat.ready(Duration::from_secs(60))?;
    ensure!(chat.pods("gateway")?.len() == 3, "the change did not arrive");
    diff(&chat, &scaled)?;
    eprintln!("a change in Git, from apply to Ready: {:.1} s", took.as_secs_f64());
    Ok(())
}

fn apply(chat: &Chat, resource: &str) -> Result<()> {
    // Not --force-conflicts: nobody else may own a field of the spec.
    let by = ["apply", "--server-side", "--field-manager=argocd-controller", "-f", "-"];
    feed(&[&by[..], &["--namespace", chat.namespace()]].concat(), resource).map(drop)
}

/// Fails where there is one.
fn diff(chat: &Chat, resource: &str) -> Result<()> {
    let by = ["diff", "--server-side", "--field-manager=argocd-controller", "-f", "-"];
    feed(&[&by[..], &["--namespace", chat.namespace()]].concat(), resource).map(drop)
}

/// The versions of all objects, once nothing has been written for five seconds.
fn at_rest(chat: &Chat) -> Result<BTreeMap<String, String>> {
    let mut last = versions(chat)?;
    let mut since = Instant::now();
    eventually("nothing is written any more", Duration::from_secs(60), || {
        let now = versions(chat)?;
        if now != last {
            last = now;
            since = Instant::now();
        }
        Ok(since.elapsed() > Duration::from_secs(5))
    })?;
    Ok(last)
}

/// The resource and all its children: name → resourceVersion.
fn versions(chat: &Chat) -> Result<BTreeMap<String, String>> {
    let mut all = items(chat)?;
    all.push(chat.get(&["gochatcluster", Chat::NAME])?);
    let entry = |object: &Value| {
        let text = |pointer| Some(object.pointer(pointer)?.as_str()?.to_owned());
        let name = format!("{}/{}", text("/kind")?, text("/metadata/name")?);
        Some((name, text("/metadata/resourceVersion")?))
    };
    Ok(all.iter().filter_map(entry).collect())
}

fn items(chat: &Chat) -> Result<Vec<Value>> {
    let list = chat.get(&[CHILDREN, "-l", "gochat.io/cluster=chat"])?;
    Ok(list.get("items").and_then(Value::as_array).cloned().unwrap_or_default())
}
