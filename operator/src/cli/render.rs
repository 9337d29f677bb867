//! `gochat-operator render`: what a GoChatCluster would become.

use std::path::PathBuf;

use anyhow::Context as _;
use gochat_crds::GoChatCluster;
use gochat_operator::cluster;
use gochat_operator::cluster::dereference::{Capabilities, Facts};
use gochat_operator::cluster::validate::{DEFAULT_IMAGE, Defaults};

pub(super) const HELP: &str = "\
Try it:
  gochat-operator render -f gochatcluster.yaml | kubectl diff --server-side -f -
  gochat-operator render -f gochatcluster.yaml --without PodMonitor --without PrometheusRule

It is what a new cluster begins with, but for the ownerReferences, whose uid nobody knows yet, and the secret with the
generated signing keys, which is random.";

/// What to render.
#[derive(clap::Args)]
pub(super) struct Args {
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

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let file = args.file.display().to_string();
    let mut cluster: GoChatCluster = gochat_crds::file::read(&super::read(&args.file)?, &file)?;
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
    super::print(&desired.objects.to_string())
}
