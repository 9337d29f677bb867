//! `kubectl gochat`: what a GoChatCluster is doing, and why.
//!
//! ```text
//! session    the connection, by the user's own kubeconfig and rights; what is found in the namespace
//! status, slots, top, explain    read and show
//! drain, rebalance               ask for something, and follow it
//! ops        ops.v1 of one pod, through the API server
//! output     tables, JSON, YAML
//! ```
//!
//! `top` and `drain` call the pod itself, by a port-forward of the API server: they need `create` on `pods/portforward`.
//! `rebalance` needs `create` and `patch` on `gochatrebalances`. Everything else only reads.

mod drain;
mod explain;
mod ops;
mod output;
mod rebalance;
mod session;
mod slots;
mod status;
mod top;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use gochat_crds::PlacedWorkload;

use output::Format;
use session::Session;

/// What a GoChatCluster is doing, and why.
#[derive(Parser)]
#[command(
    name = "kubectl-gochat",
    bin_name = "kubectl gochat",
    version,
    arg_required_else_help = true,
    after_help = "\
Try it:
  kubectl gochat status                        is it well?
  kubectl gochat explain                       why is it as it is?
  kubectl gochat rebalance gateway --dry-run   what would move?"
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Clone, Debug)]
struct Common {
    /// Namespace; the context's by default
    #[arg(short, long, global = true)]
    namespace: Option<String>,
    /// Context of the kubeconfig; the current one by default
    #[arg(long, global = true)]
    context: Option<String>,
    /// Which GoChatCluster; may be left out where the namespace has only one
    #[arg(short, long, global = true)]
    cluster: Option<String>,
    /// How to print
    #[arg(short, long, global = true, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Subcommand)]
enum Command {
    /// Is it well? Conditions, workloads, balance.
    Status(Which),
    /// Who owns which slot, and what is on its way.
    Slots {
        /// gateway, logic or task
        #[arg(value_parser = workload)]
        workload: PlacedWorkload,
    },
    /// What each pod does now, asked of the pods themselves.
    Top(Which),
    /// Why it is as it is: what is not well, and each decision with its numbers.
    Explain(Which),
    /// Empties a pod: slots first, then clients. It stays until it is deleted.
    Drain {
        /// Its name
        pod: String,
    },
    /// Asks for a plan, shows it, and has it carried out.
    #[command(after_help = "\
Examples:
  kubectl gochat rebalance logic --dry-run
  kubectl gochat rebalance gateway --evacuate chat-gateway-5d9c-x7k2p --yes
Ctrl-C stops watching, not moving: kubectl annotate gcr NAME gochat.io/stop=true does that.")]
    Rebalance(rebalance::RebalanceArgs),
}

/// As `kubectl get` takes a name.
#[derive(Args, Clone, Debug)]
struct Which {
    /// Which GoChatCluster, as --cluster
    #[arg(conflicts_with = "cluster")]
    name: Option<String>,
}

fn workload(text: &str) -> Result<PlacedWorkload, String> {
    let found = PlacedWorkload::ALL.into_iter().find(|workload| workload.as_str() == text);
    found.ok_or_else(|| "must be gateway, logic or task".to_owned())
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let mut common = cli.common;
    if let Command::Status(which) | Command::Top(which) | Command::Explain(which) = &cli.command {
        common.cluster = which.name.clone().or(common.cluster);
    }
    let session = Session::open(&common).await?;
    match cli.command {
        Command::Status(_) => status::run(&session).await,
        Command::Slots { workload } => slots::run(&session, workload).await,
        Command::Top(_) => top::run(&session).await,
        Command::Explain(_) => explain::run(&session).await,
        Command::Drain { pod } => drain::run(&session, &pod).await,
        Command::Rebalance(args) => rebalance::run(&session, &args).await,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::Cli;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn each_command_that_the_guides_and_the_help_tell_of_is_one() {
        let mut help = Cli::command();
        let rebalance = help.find_subcommand_mut("rebalance").unwrap().render_long_help().to_string();
        for (name, text) in [
            ("README.md", include_str!("../../../../README.md")),
            ("docs/operations.md", include_str!("../../../../docs/operations.md")),
            ("--help", help.render_long_help().to_string().as_str()),
            ("rebalance --help", rebalance.as_str()),
        ] {
            let commands = text.lines().filter(|line| line.trim_start().starts_with("kubectl gochat "));
            // What it does stands behind it, after some spaces.
            let commands: Vec<_> = commands.filter_map(|line| line.trim_start().split("  ").next()).collect();
            assert!(!commands.is_empty(), "{name} tells of none");
            for command in commands {
                let words = command.split_whitespace().skip(1);
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("{name}: {command}\n{error}");
                }
            }
        }
    }
}
