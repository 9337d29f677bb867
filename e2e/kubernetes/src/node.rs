//! What happens to machines. A node of a kind cluster is a container: killed, it is a machine without power.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::kubectl::{eventually, json, kubectl};

/// Drops everything that would cross the cable; what is on the node talks to itself only.
const CUT: &str = "add table inet e2e_cut
add chain inet e2e_cut in { type filter hook prerouting priority -400; policy accept; }
add chain inet e2e_cut out { type filter hook postrouting priority 400; policy accept; }
add rule inet e2e_cut in iifname eth0 drop
add rule inet e2e_cut out oifname eth0 drop
";

/// A node that something was done to; mended when dropped, whatever became of the test.
#[derive(Debug)]
pub struct Node {
    name: String,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    PoweredOff,
    CutOff,
    Closed,
}

impl Node {
    /// Pulls the plug.
    pub fn power_off(name: &str) -> Result<Self> {
        let node = Self { name: name.to_owned(), fault: Fault::PoweredOff };
        docker(&["kill", name])?;
        Ok(node)
    }

    /// Cuts it off the network; what runs on it runs on, and nobody is told.
    pub fn cut_off(name: &str) -> Result<Self> {
        let node = Self { name: name.to_owned(), fault: Fault::CutOff };
        let cut = format!("printf '%s' '{CUT}' | nft -f -");
        docker(&["exec", name, "sh", "-c", &cut])?;
        Ok(node)
    }

    /// Sends its pods away in good order, as before maintenance.
    pub fn drain(name: &str) -> Result<Self> {
        let node = Self { name: name.to_owned(), fault: Fault::Closed };
        let flags = ["--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s"];
        kubectl(&[&["drain", name], flags.as_slice()].concat())?;
        Ok(node)
    }

    /// Lets no new pod come to it.
    pub fn cordon(name: &str) -> Result<Self> {
        let node = Self { name: name.to_owned(), fault: Fault::Closed };
        kubectl(&["cordon", name])?;
        Ok(node)
    }

    /// Waits until the cluster has noticed; before that its pods count as ready.
    pub fn noticed(&self) -> Result<()> {
        let node = format!("node/{}", self.name);
        kubectl(&["wait", "--for=condition=Ready=Unknown", &node, "--timeout=60s"]).map(drop)
    }

    /// Mends it, and waits until it takes pods; gives how long that took.
    pub fn back(self) -> Result<Duration> {
        let began = Instant::now();
        self.mend()?;
        let is_ready = || {
            let node = json(&["get", "node", &self.name])?;
            let conditions = node.pointer("/status/conditions").and_then(|c| c.as_array().cloned());
            let ready = conditions
                .into_iter()
                .flatten()
                .any(|c| c.get("type") == Some(&"Ready".into()) && c.get("status") == Some(&"True".into()));
            // Those that tell pods to leave go a moment later.
            Ok(ready && node.pointer("/spec/taints").is_none())
        };
        eventually(&format!("{} is back", self.name), Duration::from_secs(120), is_ready)?;
        Ok(began.elapsed())
    }

    fn mend(&self) -> Result<()> {
        let name = self.name.as_str();
        match self.fault {
            Fault::PoweredOff => docker(&["start", name]),
            // A second time there is nothing to delete, which is as good.
            Fault::CutOff => {
                docker(&["exec", name, "sh", "-c", "nft delete table inet e2e_cut 2>/dev/null || true"])
            }
            Fault::Closed => kubectl(&["uncordon", name]).map(drop),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = self.mend() {
            eprintln!("{}: {error:#}", self.name);
        }
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
