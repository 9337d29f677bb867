//! A load balancer outside of the cluster, reloaded while people chat.

use std::time::Duration;

use anyhow::{Result, ensure};
use gochat_e2e_kubernetes::{Chat, HaProxy, shared};

const SPEC: &str = "  gateway: { shards: 16, service: { type: NodePort, externalTrafficPolicy: Local } }";

#[test]
fn a_load_balancer_that_is_reloaded_cuts_its_clients_and_they_resume_without_a_loss() -> Result<()> {
    let Some(_cluster) =
        shared("a_load_balancer_that_is_reloaded_cuts_its_clients_and_they_resume_without_a_loss")
    else {
        return Ok(());
    };
    let chat = Chat::create("e2e-balancer", SPEC)?;
    chat.ready(Duration::from_secs(180))?;
    let proxy = HaProxy::start(&chat.addresses()?, &chat.folder())?;
    let load = chat.load_at(
        &proxy.url(),
        "load",
        &["--pairs", "10", "--groups", "30x1", "--rate", "50", "--duration", "5m"],
    )?;
    load.under_way(&chat)?;
    // A node is taken out, and back in.
    let out = proxy.reload(|text| text.replace("    server node-2", "    # server node-2"))?;
    let back = proxy.reload(str::to_owned)?;
    let report = load.end()?;
    report.ensure_clean()?;
    let reconnects = report.number("/reconnects");
    ensure!(reconnects >= 30.0, "nobody was cut: {}", report.text);
    eprintln!(
        "two reloads, old processes gone after {:.1} and {:.1} s: {reconnects} connections made anew; longest outage of one {:.0} ms, slowest delivery {:.0} ms",
        out.as_secs_f64(),
        back.as_secs_f64(),
        report.number("/longest_outage_ms"),
        report.number("/other_client_ms/max"),
    );
    Ok(())
}
