//! `gochat bench`: load, and the ledger that says whether a message was lost.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::Chat;
use crate::kubectl::eventually;

/// A running load.
#[derive(Debug)]
pub struct Load {
    child: Child,
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
    pub(crate) fn start(target: &str, folder: &Path, name: &str, arguments: &[&str]) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("write {}", log.display()))?;
        let child = Command::new(std::env::var("GOCHAT_BIN")?)
            .args(["bench", "--json", "--target", target, "--accounts"])
            .arg(folder.join("accounts.json"))
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            .spawn()
            .context("start gochat bench")?;
        Ok(Self { child, log })
    }

    /// Waits until its messages are being accepted.
    pub fn under_way(&self, chat: &Chat) -> Result<()> {
        const ENOUGH: f64 = 20.0;
        let before = chat.accepted()?;
        let accepted = || Ok(chat.accepted()? >= before + ENOUGH);
        eventually("the load is under way", Duration::from_mins(2), accepted).map(drop)
    }

    /// Ends it as Ctrl-C does, and waits for what it has sent. Fails where it had ended before: what was done meanwhile was
    /// not all done under load.
    pub fn end(mut self) -> Result<Report> {
        let before = self.child.try_wait()?;
        ensure!(before.is_none(), "the load had ended before:\n{}", fs::read_to_string(&self.log)?);
        let told = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status()?;
        ensure!(told.success(), "kill -INT: {told}");
        self.report(Duration::from_mins(2))
    }

    /// Waits for its end.
    pub fn report(mut self, within: Duration) -> Result<Report> {
        let mut status = None;
        eventually("the load's end", within, || {
            status = self.child.try_wait()?;
            Ok(status.is_some())
        })?;
        let Some(status) = status else { bail!("the load did not end") };
        let text = fs::read_to_string(&self.log)?;
        let line = text.lines().rev().find(|line| line.starts_with('{'));
        let line = line.with_context(|| format!("gochat bench ({status}) printed no JSON:\n{text}"))?;
        Ok(Report { json: serde_json::from_str(line)?, clean: status.success(), text })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Report {
    /// Fails, with all that was printed, where a message was lost or none was sent.
    pub fn ensure_clean(&self) -> Result<()> {
        ensure!(self.clean, "the ledger is not clean:\n{}", self.text);
        ensure!(self.number("/accepted") > 0.0, "nothing was accepted:\n{}", self.text);
        Ok(())
    }

    /// A number of the JSON line, by its pointer; 0 where there is none.
    pub fn number(&self, pointer: &str) -> f64 {
        self.json.pointer(pointer).and_then(Value::as_f64).unwrap_or_default()
    }
}
