//! The command line.

mod render;
mod simulate;

use std::io::Write as _;
use std::path::Path;
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
  gochat-operator render -f gochatcluster.yaml
See what would be decided under a load:
  gochat-operator simulate --trace load.csv --svg load.svg"
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
    #[command(after_help = "\
Try it:
  gochat-operator crds | kubectl apply --server-side -f -")]
    Crds,
    /// Prints every object that a GoChatCluster would become, without a Kubernetes.
    #[command(after_help = render::HELP)]
    Render(render::Args),
    /// Runs planner and autoscaler over a recorded load.
    #[command(after_help = simulate::HELP)]
    Simulate(simulate::Args),
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
        Command::Crds => crds(),
        Command::Render(args) => render::run(&args),
        Command::Simulate(args) => simulate::run(&args),
    }
}

fn crds() -> anyhow::Result<()> {
    let yaml: Result<Vec<_>, _> = gochat_crds::definitions().iter().map(serde_saphyr::to_string).collect();
    let documents: Vec<_> = yaml?.iter().map(|yaml| format!("---\n{}\n", yaml.trim_end())).collect();
    print(&documents.concat())
}

/// A file's text; `-` is standard input.
fn read(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        return std::io::read_to_string(std::io::stdin()).context("standard input");
    }
    std::fs::read_to_string(file).with_context(|| file.display().to_string())
}

fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output"),
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
