//! Pods and nodes go, in every way they can, while people chat: they are served again, and the ledger is clean. Prints
//! how long each fault is felt; the same lines stay in `e2e/artifacts/kubernetes/faults/recovery.txt`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use std::fs::{self, File};
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gochat_e2e_kubernetes::{Chat, Node, artifacts, kubectl, missing};

const WORKER: &str = "gochat-worker";

#[test]
fn pods_and_nodes_go_and_no_accepted_message_is_lost() -> Result<()> {
    if missing("pods_and_nodes_go_and_no_accepted_message_is_lost") {
        return Ok(());
    }
    let chat = Chat::create("e2e-faults", "  gateway: { shards: 16, service: { type: NodePort } }")?;
    chat.ready(Duration::from_secs(180))?;
    for workload in ["gateway", "logic", "repo", "task"] {
        under(&chat, &format!("{workload}-deleted"), "20s", || {
            chat.kubectl(&["delete", "pod", &pod(&chat, workload)?, "--wait=false"]).map(drop)
        })?;
        under(&chat, &format!("{workload}-killed"), "20s", || {
            chat.kubectl(&["delete", "pod", &pod(&chat, workload)?, "--force", "--grace-period=0"]).map(drop)
        })?;
    }
    let mut node = None;
    let mut fails = |how: fn(&str) -> Result<Node>| {
        node = Some(how(WORKER)?);
        // Before that nobody knows: its pods still count as ready.
        kubectl(&["wait", "--for=condition=Ready=Unknown", &format!("node/{WORKER}"), "--timeout=60s"])
            .map(drop)
    };
    under(&chat, "node-powered-off", "60s", || fails(Node::power_off))?;
    drop(node.take());
    spread_again(&chat)?;
    under(&chat, "node-drained", "60s", || {
        kubectl(&[
            "drain",
            WORKER,
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            "--force",
            "--timeout=120s",
        ])
        .map(drop)
    })?;
    kubectl(&["uncordon", WORKER])?;
    Ok(())
}

/// After a node was away its pods are on the others, and stay there: here they are made anew, on all.
fn spread_again(chat: &Chat) -> Result<()> {
    kubectl(&["wait", "--for=condition=Ready", &format!("node/{WORKER}"), "--timeout=120s"])?;
    chat.kubectl(&["delete", "pods", "-l", "gochat.io/cluster=chat", "--wait=true"])?;
    chat.ready(Duration::from_secs(120)).map(drop)
}

/// A pod of the workload; on the worker where there is one, so that the faults meet both nodes over time.
fn pod(chat: &Chat, workload: &str) -> Result<String> {
    let pods = chat.pods(workload)?;
    let name =
        |p: &serde_json::Value| p.pointer("/metadata/name").and_then(|n| n.as_str().map(str::to_owned));
    pods.iter().find_map(name).with_context(|| format!("no pod of {workload}"))
}

/// One fault under load.
fn under(chat: &Chat, fault: &str, seconds: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
    let arguments =
        ["--pairs", "10", "--groups", "30x1", "--rate", "50", "--duration", seconds, "--prefix", fault];
    let load = chat.load(fault, &arguments)?;
    load.under_way(chat)?;
    let began = Instant::now();
    act().with_context(|| fault.to_owned())?;
    chat.ready(Duration::from_secs(180)).with_context(|| fault.to_owned())?;
    let whole = began.elapsed();
    let report = load.report(Duration::from_mins(4))?;
    report.ensure_clean().with_context(|| fault.to_owned())?;
    let felt = report.number("/longest_outage_ms");
    let slowest = report.number("/other_client_ms/max");
    let line = format!(
        "{fault}: longest outage of a connection {felt:.0} ms, slowest delivery {slowest:.0} ms, Ready again after {:.1} s",
        whole.as_secs_f64()
    );
    eprintln!("{line}");
    let folder = artifacts("faults");
    fs::create_dir_all(&folder)?;
    writeln!(File::options().create(true).append(true).open(folder.join("recovery.txt"))?, "{line}")?;
    Ok(())
}
