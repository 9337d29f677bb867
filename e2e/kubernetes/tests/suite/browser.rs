//! The chat page of the cluster in a real browser: `e2e/browser`, told where to go.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use gochat_e2e_kubernetes::{Chat, shared};

#[test]
fn people_chat_in_a_browser_and_their_gateways_go_away_and_come_back() -> Result<()> {
    let Some(_cluster) = shared("people_chat_in_a_browser_and_their_gateways_go_away_and_come_back") else {
        return Ok(());
    };
    let chat = Chat::create("e2e-page", "  gateway: { shards: 16, service: { type: NodePort } }")?;
    chat.ready(Duration::from_secs(180))?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../browser/run.sh");
    let status = Command::new(script)
        .env("GOCHAT_URL", chat.address()? + "/")
        .env("GOCHAT_NAMESPACE", chat.namespace())
        .status()?;
    ensure!(status.success(), "e2e/browser: {status}\n{}", chat.diagnosis());
    Ok(())
}
