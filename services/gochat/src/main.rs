//! `gochat`: every service of GoChat in one binary, and all of them in one process for development.
//!
//! ```text
//! service    gateway │ logic │ repo │ task: one member of a workload
//! dev        all of them on embedded engines, from a GoChatCluster
//! migrate    the database's schema
//! placement  show and move slots
//! probe      whether a process here is ready, for Compose and the like
//! bench      load and ledger (gochat-bench)
//! settings   the sections of all of them, from file, environment and flags
//! engines    connecting and waiting for what a service works with
//! ```

mod dev;
mod engines;
mod migrate;
mod placement;
mod probe;
#[cfg(test)]
mod rendered;
mod say;
mod service;
mod settings;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use gochat_core::Workload;

use settings::SettingsArgs;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Distributed instant messaging: gateway, logic, repo and task in one binary.
#[derive(Parser)]
#[command(
    name = "gochat",
    version,
    arg_required_else_help = true,
    after_help = "\
Try it:
  gochat dev
Run it on Kafka, MySQL, Redis and etcd:
  gochat migrate --config gochat.yaml
  gochat logic   --config gochat.yaml     (and so on, one process a member)
All settings with their defaults:
  gochat gateway --print-config"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Holds the clients' connections, and is home to the users of its shards.
    #[command(after_help = settings::HELP)]
    Gateway(SettingsArgs),
    /// Accounts, chats, and the way of each message from the log to its recipients.
    #[command(after_help = settings::HELP)]
    Logic(SettingsArgs),
    /// The data service: the only one that talks to the database.
    #[command(after_help = settings::HELP)]
    Repo(SettingsArgs),
    /// Large fan-outs, scheduled jobs, push notifications.
    #[command(after_help = settings::HELP)]
    Task(SettingsArgs),
    /// Brings the database's schema up to date; harmless where it is.
    #[command(after_help = settings::HELP)]
    Migrate(SettingsArgs),
    /// Runs a whole cluster in this process, on embedded engines.
    #[command(after_help = dev::HELP)]
    Dev(dev::Args),
    /// Shows who owns which slot, or moves one.
    #[command(after_help = placement::HELP)]
    Placement(placement::Args),
    /// Asks a process that runs here whether it is ready; for health checks that are commands.
    Probe(probe::Args),
    /// Generates load and keeps the ledger: what was accepted has to arrive, once and in order.
    Bench(gochat_bench::Args),
    /// Prints the version.
    Version,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli.command) {
        Ok(code) => code,
        Err(error) => {
            say::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> anyhow::Result<ExitCode> {
    // One provider for the process, before anything speaks TLS. It can't be installed yet: this is the first line.
    let _ = rustls::crypto::ring::default_provider().install_default();
    gochat_chassis::grpc::describe(gochat_proto::DESCRIPTORS);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("async runtime")?;
    let result = runtime.block_on(run(command));
    // A lookup or a file operation that hangs must not keep a process that is done.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    result
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Gateway(args) => service::run(Workload::Gateway, args).await,
        Command::Logic(args) => service::run(Workload::Logic, args).await,
        Command::Repo(args) => service::run(Workload::Repo, args).await,
        Command::Task(args) => service::run(Workload::Task, args).await,
        Command::Migrate(args) => migrate::run(args).await,
        Command::Dev(args) => Box::pin(dev::run(args)).await,
        Command::Placement(args) => placement::run(args).await,
        Command::Probe(args) => probe::run(args).await,
        Command::Bench(args) => gochat_bench::run(args).await,
        Command::Version => {
            say::line(concat!("gochat ", env!("CARGO_PKG_VERSION")));
            Ok(ExitCode::SUCCESS)
        }
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
