//! The main job: a GoChatCluster is applied, and people chat through the pods that the operator made.

use std::time::Duration;

use anyhow::Result;
use gochat_e2e_kubernetes::{Chat, shared};

#[test]
fn people_chat_through_pods_that_the_operator_made() -> Result<()> {
    let Some(_cluster) = shared("people_chat_through_pods_that_the_operator_made") else { return Ok(()) };
    let chat = Chat::create("e2e-chat", "  gateway: { shards: 16, service: { type: NodePort } }")?;
    let took = chat.ready(Duration::from_secs(180))?;
    eprintln!("from apply to Ready: {:.1} s", took.as_secs_f64());
    let load =
        chat.load("load", &["--pairs", "10", "--groups", "50x1", "--rate", "100", "--duration", "10s"])?;
    let report = load.report(Duration::from_mins(3))?;
    report.ensure_clean()
}
