//! What a person would type.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Runs kubectl; gives what it prints.
pub fn kubectl(arguments: &[&str]) -> Result<String> {
    feed(arguments, "")
}

/// Applies objects.
pub fn apply(namespace: &str, yaml: &str) -> Result<String> {
    feed(&["apply", "--server-side", "--force-conflicts", "--namespace", namespace, "-f", "-"], yaml)
}

/// An object, or a list of them.
pub fn json(arguments: &[&str]) -> Result<Value> {
    let text = kubectl(&[arguments, &["-o", "json"]].concat())?;
    serde_json::from_str(&text).context("kubectl's JSON")
}

/// Runs kubectl with something to read (`-f -`); gives what it prints.
pub fn feed(arguments: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new("kubectl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start kubectl")?;
    child.stdin.take().context("kubectl's input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "kubectl {}: {error}{out}", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

/// Asks until the answer is yes; gives how long it took.
#[allow(clippy::disallowed_methods, reason = "no runtime here, and the answer is what is waited for")]
pub fn eventually(what: &str, within: Duration, mut is: impl FnMut() -> Result<bool>) -> Result<Duration> {
    let began = Instant::now();
    loop {
        let last = match is() {
            Ok(true) => return Ok(began.elapsed()),
            Ok(false) => "not yet".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if began.elapsed() > within {
            bail!("{what}: not within {within:?}; at last: {last}");
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// Asks for a while, and fails as soon as the answer is no.
#[allow(clippy::disallowed_methods, reason = "no runtime here, and the time is what is waited for")]
pub fn stays(what: &str, during: Duration, mut is: impl FnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < during {
        ensure!(is()?, "{what}: no more after {:?}", began.elapsed());
        std::thread::sleep(Duration::from_millis(250));
    }
    Ok(())
}
