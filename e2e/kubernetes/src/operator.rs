//! The operator as kind/up.sh installs it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::kubectl::{eventually, json, kubectl};

/// Where it is.
pub const NAMESPACE: &str = "gochat-system";
/// Its Deployment, and the Lease of whoever leads.
pub const NAME: &str = "gochat-operator";

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

/// Makes the leader one that is on this node; gives its pod.
pub fn lead_from(node: &str) -> Result<String> {
    // Whoever of the others asks first leads next, wherever it is: a coin is tossed each time.
    for _ in 0..12 {
        settled()?;
        let pod = leader()?;
        if node_of(&pod)? == node {
            return Ok(pod);
        }
        kubectl(&["delete", "pod", &pod, "--namespace", NAMESPACE])?;
        another_leads(&pod, Duration::from_secs(60))?;
    }
    bail!("no operator on {node} came to lead")
}
