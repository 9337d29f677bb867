//! A node of a kind cluster is a container: stopped, it is a machine without power.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::kubectl::json;

/// A node; powered on again when dropped.
#[derive(Debug)]
pub struct Node(String);

impl Node {
    /// Pulls the plug.
    pub fn power_off(name: &str) -> Result<Self> {
        docker(&["kill", name])?;
        Ok(Self(name.to_owned()))
    }

    /// Cuts it off the network, as a switch that dies; what runs on it runs on.
    pub fn cut_off(name: &str) -> Result<Self> {
        docker(&["network", "disconnect", "kind", name])?;
        Ok(Self(name.to_owned()))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Whichever it was: both are harmless where there is nothing to mend.
        let _ = docker(&["network", "connect", "kind", &self.0]);
        let _ = docker(&["start", &self.0]);
    }
}

/// Gives an image that the nodes have another name: what a registry would hold as another version.
pub fn tag_image(from: &str, to: &str) -> Result<()> {
    let nodes = json(&["get", "nodes"])?;
    for node in nodes.get("items").and_then(Value::as_array).into_iter().flatten() {
        let name = node.pointer("/metadata/name").and_then(Value::as_str).context("a node without a name")?;
        docker(&["exec", name, "ctr", "-n", "k8s.io", "images", "tag", "--force", from, to])?;
    }
    Ok(())
}

fn docker(arguments: &[&str]) -> Result<()> {
    let output = Command::new("docker").args(arguments).output().context("run docker")?;
    ensure!(
        output.status.success(),
        "docker {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
