//! The operator as kind/up.sh installs it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Node;
use crate::kubectl::{eventually, json, kubectl};

/// Where it is.
pub const NAMESPACE: &str = "gochat-system";
/// Its Deployment, and the Lease of whoever leads.
pub const NAME: &str = "gochat-operator";

const WITHIN: Duration = Duration::from_secs(60);

/// The pod that leads, or led until it was lost: a Lease does not change by itself.
pub fn leader() -> Result<String> {
    let lease = json(&["get", "lease", NAME, "--namespace", NAMESPACE])?;
    let holder = lease.pointer("/spec/holderIdentity").and_then(Value::as_str).unwrap_or_default();
    ensure!(!holder.is_empty(), "nobody leads");
    Ok(holder.to_owned())
}

/// Waits until another one leads.
pub fn another_leads(than: &str, within: Duration) -> Result<Duration> {
    eventually("another operator leads", within, || Ok(leader()? != than))
}

/// Waits until all its pods are ready.
pub fn settled() -> Result<()> {
    let deployment = format!("deployment/{NAME}");
    kubectl(&["rollout", "status", &deployment, "--namespace", NAMESPACE, "--timeout=120s"]).map(drop)
}

/// The node of one of its pods.
pub fn node_of(pod: &str) -> Result<String> {
    let pod = json(&["get", "pod", pod, "--namespace", NAMESPACE])?;
    pod.pointer("/spec/nodeName").and_then(Value::as_str).map(str::to_owned).context("a pod without a node")
}

/// Makes the leader one that is on this node, and alone there; gives its pod.
pub fn lead_from(node: &str) -> Result<String> {
    settled()?;
    let mut pod = leader()?;
    let elsewhere = nodes()?.into_iter().filter(|other| other != node);
    // Until then whoever comes anew comes to this node.
    let closed = elsewhere.map(|other| Node::cordon(&other)).collect::<Result<Vec<_>>>()?;
    while node_of(&pod)? != node {
        kubectl(&["delete", "pod", &pod, "--namespace", NAMESPACE])?;
        another_leads(&pod, WITHIN)?;
        settled()?;
        pod = leader()?;
    }
    drop(closed);
    for other in pods()?.into_iter().filter(|other| *other != pod) {
        if node_of(&other)? == node {
            kubectl(&["delete", "pod", &other, "--namespace", NAMESPACE])?;
        }
    }
    settled()?;
    ensure!(leader()? == pod, "{pod} does not lead any more");
    Ok(pod)
}

fn nodes() -> Result<Vec<String>> {
    names(&["get", "nodes"])
}

fn pods() -> Result<Vec<String>> {
    names(&["get", "pods", "--namespace", NAMESPACE, "-l", &format!("app.kubernetes.io/name={NAME}")])
}

fn names(list: &[&str]) -> Result<Vec<String>> {
    let list = json(list)?;
    let items = list.get("items").and_then(Value::as_array).context("no list")?;
    let name = |item: &Value| item.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
    items.iter().map(|item| name(item).context("an object without a name")).collect()
}
