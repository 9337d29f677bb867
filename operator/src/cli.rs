//! The command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use gochat_crds::GoChatCluster;
use gochat_operator::cluster;
use gochat_operator::cluster::dereference::{Capabilities, Facts};
use gochat_operator::cluster::validate::{DEFAULT_IMAGE, Defaults};
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
    #[command(after_help = "\
Try it:
  gochat-operator render -f gochatcluster.yaml | kubectl diff --server-side -f -
  gochat-operator render -f gochatcluster.yaml --without PodMonitor --without PrometheusRule

It is what a new cluster begins with, but for the ownerReferences, whose uid nobody knows yet, and the secret with the
generated signing keys, which is random.")]
    Render(RenderArgs),
}

#[derive(clap::Args)]
struct RenderArgs {
    /// File with one GoChatCluster; - reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Namespace, where the file has none
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Image, where the file has none
    #[arg(long, default_value = DEFAULT_IMAGE)]
    image: String,
    /// Version, where the file has none
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    version: String,
    /// Namespace of the operator's pods, which may call the workloads
    #[arg(long, value_name = "NAMESPACE")]
    operator_namespace: Option<String>,
    /// As for an API server that doesn't know this kind; may be given many times
    #[arg(long, value_name = "KIND", value_enum)]
    without: Vec<Optional>,
}

/// Kinds that not every API server knows.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Optional {
    #[value(name = "PodMonitor")]
    PodMonitor,
    #[value(name = "PrometheusRule")]
    PrometheusRule,
    #[value(name = "HTTPRoute")]
    HttpRoute,
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
        Command::Render(args) => render(&args),
    }
}

fn crds() -> anyhow::Result<()> {
    let yaml: Result<Vec<_>, _> = gochat_crds::definitions().iter().map(serde_saphyr::to_string).collect();
    let documents: Vec<_> = yaml?.iter().map(|yaml| format!("---\n{}\n", yaml.trim_end())).collect();
    print(&documents.concat())
}

fn render(args: &RenderArgs) -> anyhow::Result<()> {
    let file = args.file.display().to_string();
    let text = if file == "-" {
        std::io::read_to_string(std::io::stdin()).context("standard input")?
    } else {
        std::fs::read_to_string(&args.file).with_context(|| file.clone())?
    };
    let mut cluster: GoChatCluster = gochat_crds::file::read(&text, &file)?;
    cluster.metadata.namespace.get_or_insert_with(|| args.namespace.clone());
    let defaults = Defaults {
        image: args.image.clone(),
        version: args.version.clone(),
        namespace: args.operator_namespace.clone(),
    };
    let knows = |kind| !args.without.contains(&kind);
    let capabilities = Capabilities {
        pod_monitor: knows(Optional::PodMonitor),
        prometheus_rule: knows(Optional::PrometheusRule),
        http_route: knows(Optional::HttpRoute),
    };
    let facts = Facts { capabilities, ..Facts::default() };
    let desired = cluster::desired(&cluster, &facts, &defaults).with_context(|| file)?;
    print(&desired.objects.to_string())
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
