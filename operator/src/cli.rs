//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use gochat_operator::run::{self, RunArgs};

/// Turns GoChatCluster resources into running workloads, scales them and moves their slots.
#[derive(Parser)]
#[command(
    name = "gochat-operator",
    version,
    arg_required_else_help = true,
    after_help = "\
Try it:
  gochat-operator crds | kubectl apply --server-side -f -
  gochat-operator run                              (with your kubeconfig; in a pod with its ServiceAccount)
See what a cluster would become, without any:
  gochat-operator render -f gochatcluster.yaml"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the operator.
    Run(RunArgs),
    /// Prints the definitions of GoChatCluster and the other resources.
    Crds,
    /// Prints every object that a GoChatCluster would become, without a Kubernetes.
    Render(RenderArgs),
}

#[derive(clap::Args)]
struct RenderArgs {
    /// File with one GoChatCluster; - reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
}

pub(crate) fn main() -> ExitCode {
    match start(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("async runtime")?
            .block_on(run::run(args)),
        Command::Crds | Command::Render(_) => anyhow::bail!("not there yet"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
