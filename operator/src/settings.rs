//! The settings of `gochat-operator run`: defaults < file < environment < flags.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use gochat_chassis::config::{self, Sources};
use gochat_chassis::telemetry::{LogFormat, TelemetryConfig};
use serde::{Deserialize, Serialize};

use crate::cluster::validate::{DEFAULT_IMAGE, Defaults};
use crate::leader::{self, LeaderConfig};

/// Below the flags.
pub const HELP: &str = "\
Settings are defaults < file < environment < flags:
  --config operator.yaml                   leader: { namespace: gochat-system }
  GOCHAT_OPERATOR_LEADER__NAMESPACE=gochat-system
  --set leader.namespace=gochat-system
An unknown setting is refused; --print-config shows all there are, as they are in force.
The API server is the one of KUBECONFIG, or in a pod of its ServiceAccount.";

/// Flags of `run`.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(after_help = HELP)]
pub struct RunArgs {
    /// Settings file: YAML
    #[arg(long, short, value_name = "FILE", env = "GOCHAT_OPERATOR_CONFIG")]
    config: Option<PathBuf>,
    /// Look after these namespaces only; all by default
    #[arg(long, value_name = "NAMESPACE,…")]
    namespaces: Option<String>,
    /// One setting, such as concurrency=8; may be given many times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    sets: Vec<(String, String)>,
    /// Print the settings in force, and end
    #[arg(long)]
    pub print_config: bool,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE, such as concurrency=8")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// All settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
    /// Where `/livez`, `/readyz` and `/metrics` listen.
    pub admin: AdminConfig,
    /// The API server and credentials; empty: `KUBECONFIG`, or in a pod its ServiceAccount.
    pub kubeconfig: PathBuf,
    /// Look after these only; empty: all.
    pub namespaces: Vec<String>,
    /// So many clusters are looked at at once, 1 to 256.
    pub concurrency: usize,
    /// How long a cluster that is deleted with its topics may wait for pods and broker; then the topics stay, a Warning says
    /// so, and the cluster goes.
    #[serde(with = "humantime_serde")]
    pub deletion_deadline: Duration,
    /// One operator at a time.
    pub leader: LeaderConfig,
    /// Image of a cluster that names none; without a tag it gets the version.
    pub image: String,
    /// Version of a cluster that names none.
    pub version: String,
    /// Where the operator's own pods are, which may call the workloads; empty: the pod's own, or nowhere.
    pub namespace: String,
}

/// Probes and metrics.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// The address.
    pub listen: SocketAddr,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([0, 0, 0, 0], 9100)) }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // A look at a cluster is rare, beside messages.
            telemetry: TelemetryConfig {
                format: LogFormat::Json,
                sample_ratio: 1.0,
                ..TelemetryConfig::default()
            },
            admin: AdminConfig::default(),
            kubeconfig: PathBuf::new(),
            namespaces: Vec::new(),
            concurrency: 16,
            deletion_deadline: Duration::from_secs(60),
            leader: LeaderConfig::default(),
            image: DEFAULT_IMAGE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            namespace: String::new(),
        }
    }
}

impl Settings {
    /// From the flags, the environment and the file.
    pub fn load(args: &RunArgs) -> anyhow::Result<Self> {
        let namespaces = args.namespaces.iter().map(|list| ("namespaces".to_owned(), list.clone()));
        let sets = namespaces.chain(args.sets.iter().cloned()).collect();
        let settings: Self =
            config::load(&Sources::of_process(args.config.clone(), "GOCHAT_OPERATOR", sets))?;
        settings.validate()?;
        Ok(settings)
    }

    fn validate(&self) -> anyhow::Result<()> {
        ensure!((1..=256).contains(&self.concurrency), "concurrency has to be 1 to 256");
        self.leader.validate().map_err(anyhow::Error::msg)
    }

    /// As YAML.
    pub fn print(&self) -> anyhow::Result<String> {
        config::print(self).context("settings")
    }

    /// What a spec that leaves it open gets.
    pub fn defaults(&self) -> Defaults {
        Defaults { image: self.image.clone(), version: self.version.clone(), namespace: self.own_namespace() }
    }

    /// Where the operator's own pods are.
    pub fn own_namespace(&self) -> Option<String> {
        if !self.namespace.is_empty() {
            return Some(self.namespace.clone());
        }
        let file = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
        if !leader::in_pod() {
            return None;
        }
        std::fs::read_to_string(file).ok().map(|name| name.trim().to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_read_again() {
        let text = Settings::default().print().unwrap();
        assert!(config::parse::<Settings>(&text, "printed").is_ok(), "{text}");
    }

    #[test]
    fn flags_win_and_what_can_not_work_is_refused_by_name() {
        let args = RunArgs { namespaces: Some("a,b".to_owned()), ..RunArgs::default() };
        assert_eq!(Settings::load(&args).unwrap().namespaces, ["a", "b"]);
        let args = RunArgs { sets: vec![("concurrency".to_owned(), "0".to_owned())], ..RunArgs::default() };
        assert!(Settings::load(&args).unwrap_err().to_string().contains("concurrency"));
    }
}
