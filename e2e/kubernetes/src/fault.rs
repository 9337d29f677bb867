//! Something happens while people chat.

use std::fs::{self, File};
use std::io::Write as _;

use anyhow::{Context, Result};

use crate::{Chat, artifacts};

/// People who chat: 30 connections, 50 messages a second among pairs and in one group.
const PEOPLE: [&str; 6] = ["--pairs", "10", "--groups", "30x1", "--rate", "50"];
/// Far more than any fault takes; the load is told to end before.
const LONG: &str = "20m";

/// One fault under load: `act` makes it happen, waits until it is over, and says what there is to say about it. Fails
/// where a message was lost; else keeps how long people felt it.
pub fn under(chat: &Chat, fault: &str, act: impl FnOnce() -> Result<String>) -> Result<()> {
    let arguments = [PEOPLE.as_slice(), &["--duration", LONG, "--prefix", fault]].concat();
    let load = chat.load(fault, &arguments)?;
    load.under_way(chat)?;
    let said = act().with_context(|| fault.to_owned())?;
    // What people see after the fault counts as well: they have to be served again.
    load.under_way(chat)?;
    let report = load.end()?;
    report.ensure_clean().with_context(|| fault.to_owned())?;
    record(&format!(
        "{fault}: longest outage of a connection {:.0} ms, slowest message {:.1} s; {said}",
        report.number("/longest_outage_ms"),
        report.number("/other_client_ms/max") / 1_000.0,
    ))
}

/// Prints a line, and keeps it in `e2e/artifacts/kubernetes/faults/recovery.txt`.
pub fn record(line: &str) -> Result<()> {
    eprintln!("{line}");
    let folder = artifacts("faults");
    fs::create_dir_all(&folder)?;
    writeln!(File::options().create(true).append(true).open(folder.join("recovery.txt"))?, "{line}")?;
    Ok(())
}
