//! Pods go, in every way they can, while people chat: they are served again, and the ledger is clean.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gochat_e2e_kubernetes::{Chat, shared, under};

#[test]
fn pods_go_and_no_accepted_message_is_lost() -> Result<()> {
    let Some(_cluster) = shared("pods_go_and_no_accepted_message_is_lost") else { return Ok(()) };
    let chat = Chat::create("e2e-faults", "  gateway: { shards: 16, service: { type: NodePort } }")?;
    chat.ready(Duration::from_secs(180))?;
    for workload in ["gateway", "logic", "repo", "task"] {
        under(&chat, &format!("{workload}-deleted"), || goes(&chat, workload, &["--wait=false"]))?;
        under(&chat, &format!("{workload}-killed"), || {
            goes(&chat, workload, &["--force", "--grace-period=0"])
        })?;
    }
    Ok(())
}

/// Deletes a pod; says when another is there in its place.
fn goes(chat: &Chat, workload: &str, how: &[&str]) -> Result<String> {
    let lost = chat.all_pods()?.into_iter().find(|pod| pod.workload == workload && pod.serves);
    let lost = lost.with_context(|| format!("no pod of {workload}"))?;
    let began = Instant::now();
    chat.kubectl(&[&["delete", "pod", &lost.name], how].concat())?;
    chat.whole_without(&[lost], Duration::from_secs(120))?;
    Ok(format!("replaced after {:.1} s", began.elapsed().as_secs_f64()))
}
