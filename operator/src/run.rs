//! `gochat-operator run`: the controller as a process.

/// Its flags.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct RunArgs {}

/// Runs until it is told to stop.
#[allow(clippy::unused_async, reason = "not there yet")]
pub async fn run(_args: RunArgs) -> anyhow::Result<()> {
    anyhow::bail!("not there yet")
}
