//! The settings of every service, and where they come from.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use gochat_chassis::config::{self, Sources};
use gochat_chassis::telemetry::TelemetryConfig;
use gochat_core::{SlotCount, Slots, Topics, Workload};
use gochat_mq::TopicSpec;
use serde::{Deserialize, Serialize};

/// Below the flags of every command that has settings.
pub(crate) const HELP: &str = "\
Settings are defaults < file < environment < flags:
  --config gochat.yaml                     mq: { bootstrap: 'kafka:9092' }
  GOCHAT_MQ__BOOTSTRAP=kafka:9092          lists as [a, b] or a,b
  --set mq.bootstrap=kafka:9092
An unknown setting is refused; --print-config shows all there are, as they are in force.";

/// Where settings come from.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct SettingsArgs {
    /// Settings file: YAML, one section a part
    #[arg(long, short, value_name = "FILE", env = "GOCHAT_CONFIG")]
    config: Option<PathBuf>,
    /// One setting, such as mq.bootstrap=kafka:9092; may be given many times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    sets: Vec<(String, String)>,
    /// Print the settings in force, secrets redacted, and end
    #[arg(long)]
    pub(crate) print_config: bool,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE, such as mq.bootstrap=kafka:9092")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// All sections.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) telemetry: TelemetryConfig,
    pub(crate) admin: AdminConfig,
    pub(crate) topics: TopicsConfig,
    pub(crate) mq: gochat_mq::MqConfig,
    pub(crate) db: gochat_db::DbConfig,
    pub(crate) cache: gochat_cache::CacheConfig,
    pub(crate) coord: gochat_coord::CoordConfig,
    pub(crate) gateway: gochat_gateway::Config,
    pub(crate) logic: gochat_logic::Config,
    pub(crate) repo: gochat_repo::Config,
    pub(crate) task: gochat_task::Config,
}

/// Probes and metrics.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AdminConfig {
    /// Where `/livez`, `/readyz` and `/metrics` listen.
    pub(crate) listen: SocketAddr,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([0, 0, 0, 0], 9100)) }
    }
}

/// The sizes of the log's topics: the same for all services of a cluster, which have no sizes of their own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TopicsConfig {
    /// Gateway shards: partitions of `downstream`, 1 to 4,096. Never changed in a cluster's life.
    pub(crate) shards: u32,
    /// Partitions of `upstream`, 1 to 4,096.
    pub(crate) upstream_partitions: u32,
    /// Partitions of `task`, 1 to 4,096.
    pub(crate) task_partitions: u32,
    /// Replicas of each partition in Kafka, where GoChat creates the topics; 3 in production.
    pub(crate) replication: u16,
}

impl Default for TopicsConfig {
    fn default() -> Self {
        Self { shards: 64, upstream_partitions: 16, task_partitions: 16, replication: 1 }
    }
}

impl TopicsConfig {
    /// The sizes, for every service.
    pub(crate) fn slots(&self) -> anyhow::Result<Slots> {
        let count = |key: &str, count| SlotCount::new(count).with_context(|| format!("topics.{key}"));
        Ok(Slots {
            shards: count("shards", self.shards)?,
            upstream: count("upstream_partitions", self.upstream_partitions)?,
            task: count("task_partitions", self.task_partitions)?,
        })
    }

    /// The topics that should exist.
    pub(crate) fn specs(&self, names: Topics) -> Vec<TopicSpec> {
        let Topics { upstream, downstream, task, dead_letter } = names;
        [
            (upstream, self.upstream_partitions),
            (downstream, self.shards),
            (task, self.task_partitions),
            // Rare and looked at by people: nothing is gained by more.
            (dead_letter, 1),
        ]
        .map(|(name, partitions)| TopicSpec { name, partitions, replication: self.replication })
        .into()
    }
}

impl Settings {
    /// From a command's flags; `before` are flags that the user's own override.
    pub(crate) fn load(args: &SettingsArgs, before: Vec<(String, String)>) -> anyhow::Result<Self> {
        let sets = before.into_iter().chain(args.sets.iter().cloned()).collect();
        let settings: Self = config::load(&Sources::of_process(args.config.clone(), "GOCHAT", sets))?;
        settings.check()?;
        Ok(settings)
    }

    /// The services' sections, whichever is used: what is wrong is said before anything is connected to. Database, cache
    /// and coordination check theirs when they are connected to.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.topics.slots()?;
        self.gateway.check()?;
        self.logic.check()?;
        self.repo.check()?;
        self.task.check()?;
        Ok(())
    }

    /// As YAML, secrets redacted.
    pub(crate) fn print(&self) -> anyhow::Result<String> {
        Ok(config::print(self)?)
    }

    /// What the topics are called, for every service.
    pub(crate) fn topic_names(&self) -> Topics {
        Topics::new(&self.mq.prefix)
    }

    /// A service of its own finds the others through engines that all of them reach.
    pub(crate) fn require_engines(&self, workload: Workload) -> anyhow::Result<()> {
        ensure!(
            !self.coord.etcd.is_empty() || self.coord.kubernetes.enabled,
            "coord.etcd is empty: services find each other through etcd, such as --set coord.etcd=http://etcd:2379, or \
             in pods through the Kubernetes API, --set coord.kubernetes.enabled=true \
             (`gochat dev` runs all in one process without either)"
        );
        ensure!(
            workload == Workload::Repo || !self.mq.bootstrap.is_empty(),
            "mq.bootstrap is empty: services share a Kafka, such as --set mq.bootstrap=kafka:9092 \
             (`gochat dev` runs all in one process without it)"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(sets: &[&str]) -> anyhow::Result<Settings> {
        let sets = sets.iter().map(|s| key_value(s).unwrap()).collect();
        Settings::load(&SettingsArgs { sets, ..SettingsArgs::default() }, Vec::new())
    }

    #[test]
    fn the_topics_have_one_size_and_one_name_for_all_services() {
        let settings = with(&["topics.shards=16", "topics.task_partitions=8", "mq.prefix=a"]).unwrap();
        let slots = settings.topics.slots().unwrap();
        assert_eq!((slots.shards.get(), slots.upstream.get(), slots.task.get()), (16, 16, 8));
        let specs = settings.topics.specs(settings.topic_names());
        let sizes: Vec<_> = specs.iter().map(|s| (s.name.as_str(), s.partitions)).collect();
        assert_eq!(sizes, [("a.upstream", 16), ("a.downstream", 16), ("a.task", 8), ("a.dead-letter", 1)]);
    }

    #[test]
    fn a_service_can_not_have_a_size_of_its_own() {
        let error = with(&["gateway.shards=32"]).err().unwrap().to_string();
        assert!(error.contains("gateway.shards"), "{error}");
        let error = format!("{:#}", with(&["topics.shards=0"]).err().unwrap());
        assert_eq!(error, "topics.shards: 0 slots: must be 1 to 4096");
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let text = with(&[]).unwrap().print().unwrap();
        assert!(config::parse::<Settings>(&text, "printed").is_ok(), "{text}");
    }

    #[test]
    fn a_single_service_without_engines_says_which_setting_is_missing() {
        let refused = |sets: &[&str], workload| {
            with(sets).unwrap().require_engines(workload).err().map(|e| e.to_string()).unwrap_or_default()
        };
        assert!(refused(&[], Workload::Logic).starts_with("coord.etcd is empty"));
        let with_coord = ["coord.etcd=http://etcd:2379"];
        assert!(refused(&with_coord, Workload::Logic).starts_with("mq.bootstrap is empty"));
        assert_eq!(refused(&with_coord, Workload::Repo), "", "repo has no use for a log");
        let in_a_pod = ["coord.kubernetes.enabled=true", "coord.kubernetes.cluster=chat"];
        assert_eq!(refused(&in_a_pod, Workload::Repo), "", "pods need no etcd");
    }
}
