//! `gochat bench` beside a cluster: load, and the ledger that says whether a message was lost.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gochat_engines::Process;
use serde_json::Value;

use crate::{Cluster, binary};

/// A running load.
#[derive(Debug)]
pub struct Load {
    process: Process,
    log: PathBuf,
}

/// What it found.
#[derive(Debug)]
pub struct Report {
    /// Its one JSON line.
    pub json: Value,
    /// Whether no accepted message was lost, out of order, or numbered with a hole.
    pub clean: bool,
    /// Everything it printed.
    pub text: String,
}

impl Load {
    /// Starts `gochat bench` against all gateways; its output goes to `<name>.log` beside the cluster's.
    pub async fn start(cluster: &Cluster, name: &str, arguments: &[&str]) -> Result<Self> {
        let log = cluster.folder().join(format!("{name}.log"));
        let binary = binary::path().await?.display().to_string();
        let targets = cluster.gateways().join(",");
        let accounts = cluster.folder().join("accounts.json").display().to_string();
        let fixed = [binary.as_str(), "bench", "--json", "--target", &targets, "--accounts", &accounts];
        let mut all: Vec<String> = fixed.map(str::to_owned).into();
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let process = Process::start(name, all, Vec::new(), &log)?;
        Ok(Self { process, log })
    }

    /// Waits until its messages are being accepted.
    pub async fn under_way(&self, cluster: &Cluster) -> Result<()> {
        const ENOUGH: f64 = 20.0;
        let before = cluster.gateway_count("gochat_gateway_accepted_total").await?;
        let accepted = || async {
            cluster
                .gateway_count("gochat_gateway_accepted_total")
                .await
                .is_ok_and(|now| now >= before + ENOUGH)
        };
        self.process.ready(Duration::from_mins(2), accepted).await.map(drop)
    }

    /// Waits for its end.
    pub async fn report(self, within: Duration) -> Result<Report> {
        let status = self.process.wait(within).await?;
        let text = fs::read_to_string(&self.log)?;
        let line = text.lines().rev().find(|line| line.starts_with('{'));
        let line = line.with_context(|| format!("gochat bench ({status}) printed no JSON:\n{text}"))?;
        Ok(Report { json: serde_json::from_str(line)?, clean: status.success(), text })
    }
}

impl Report {
    /// Fails, with all that was printed, where a message was lost or none was sent.
    pub fn ensure_clean(&self) -> Result<()> {
        ensure!(self.clean, "the ledger is not clean:\n{}", self.text);
        ensure!(self.number("accepted") > 0.0, "nothing was accepted:\n{}", self.text);
        Ok(())
    }

    /// Fails where somebody waited longer than this for a message: one that came only with a late sync, for example.
    pub fn ensure_delivered_within(&self, longest: Duration) -> Result<()> {
        let waited = self
            .json
            .pointer("/other_client_ms/max")
            .and_then(Value::as_f64)
            .context("other_client_ms.max")?;
        ensure!(waited <= longest.as_secs_f64() * 1000.0, "a message took {waited} ms:\n{}", self.text);
        Ok(())
    }

    /// A number of the JSON line; 0 where there is none.
    pub fn number(&self, key: &str) -> f64 {
        self.json.get(key).and_then(Value::as_f64).unwrap_or_default()
    }
}
