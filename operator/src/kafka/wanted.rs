//! The topics of a cluster, and what to do about those that are there. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use gochat_core::Topics;
use gochat_crds::{GoChatClusterSpec, ScaledWorkload};

use super::configs::{self, TopicConfig};
use crate::cluster::ClusterKey;
use crate::cluster::dereference::TopicFacts;

/// A topic that should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topic {
    pub(super) name: String,
    /// At least so many.
    pub(super) partitions: u32,
    pub(super) replication: u32,
    pub(super) retention: Duration,
    /// Who works it off; nobody does for the dead letters.
    pub(super) consumer: Option<ScaledWorkload>,
}

impl Topic {
    /// What a write has to reach: one fewer than there are, so that one may be away. Of a topic that has fewer `replicas`
    /// than wanted it is one fewer than those, or nobody could write.
    pub(super) fn min_in_sync(&self, replicas: u32) -> u32 {
        self.replication.min(replicas).saturating_sub(1).max(1)
    }
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Create(Topic),
    Grow {
        name: String,
        from: u32,
        to: u32,
    },
    /// `own`: all that is to be set on the topic; `told`: what of it changes, for people.
    Configure {
        name: String,
        own: BTreeMap<String, String>,
        told: String,
    },
}

/// The topics of a cluster.
pub(super) fn topics(key: &ClusterKey, spec: &GoChatClusterSpec) -> Vec<Topic> {
    let settings = &spec.kafka.topics;
    let prefix = settings.prefix.clone().unwrap_or_else(|| format!("{}.{}", key.namespace, key.name));
    let Topics { upstream, downstream, task, dead_letter } = Topics::new(&prefix);
    let sized = [
        (upstream, settings.upstream.partitions.min, Some(ScaledWorkload::Logic)),
        // One a shard.
        (downstream, spec.gateway.shards, Some(ScaledWorkload::Gateway)),
        (task, settings.task.partitions.min, Some(ScaledWorkload::Task)),
        // Rare, and read by people.
        (dead_letter, 1, None),
    ];
    let topic = |(name, partitions, consumer)| Topic {
        name,
        partitions,
        consumer,
        replication: settings.replication,
        retention: settings.retention.0,
    };
    sized.map(topic).into()
}

/// What to do. More partitions than wanted, or other replicas, are for a condition: neither can be taken back here.
pub(super) fn changes(wanted: &[Topic], there: &BTreeMap<String, TopicFacts>) -> Vec<Change> {
    let change = |topic: &Topic| match there.get(&topic.name) {
        None => Some(Change::Create(topic.clone())),
        Some(found) if found.partitions < topic.partitions => {
            Some(Change::Grow { name: topic.name.clone(), from: found.partitions, to: topic.partitions })
        }
        Some(_) => None,
    };
    wanted.iter().filter_map(change).collect()
}

/// What to set on topics that are there: only what is the operator's and is something else.
pub(super) fn corrections(
    wanted: &[Topic],
    there: &BTreeMap<String, TopicFacts>,
    configs: &BTreeMap<String, TopicConfig>,
) -> Vec<Change> {
    let correction = |topic: &Topic| {
        let config = configs.get(&topic.name)?;
        let mut own = config.own.clone();
        let mut told = Vec::new();
        for (key, value) in configs::wanted(topic, there.get(&topic.name)?.replication) {
            let found = config.effective.get(key);
            if found != Some(&value) {
                told.push(format!("{key} {} → {value}", found.map_or("unset", String::as_str)));
            }
            // Also what is so by a default of the broker's: that one may change.
            own.insert(key.to_owned(), value);
        }
        let told = (!told.is_empty()).then(|| format!("{}: {}", topic.name, told.join(", ")))?;
        Some(Change::Configure { name: topic.name.clone(), own, told })
    };
    wanted.iter().filter_map(correction).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn sample() -> Vec<Topic> {
        let sample: gochat_crds::GoChatCluster =
            gochat_crds::file::read(gochat_crds::SAMPLE, "sample").unwrap();
        topics(&ClusterKey { namespace: "ns".into(), name: "sample".into() }, &sample.spec)
    }

    fn there(partitions: u32) -> TopicFacts {
        TopicFacts { partitions, replication: 3 }
    }

    #[test]
    fn a_cluster_has_four_topics_named_by_namespace_and_name() {
        let topics = sample();
        let sizes: Vec<_> =
            topics.iter().map(|t| (t.name.as_str(), t.partitions, t.min_in_sync(3))).collect();
        let expected = [
            ("ns.sample.upstream", 16, 2),
            ("ns.sample.downstream", 16, 2),
            ("ns.sample.task", 16, 2),
            ("ns.sample.dead-letter", 1, 2),
        ];
        assert_eq!(sizes, expected);
    }

    #[test]
    fn what_is_missing_is_made_what_is_small_grows_and_nothing_shrinks() {
        let wanted = sample();
        let mut found: BTreeMap<_, _> =
            wanted.iter().map(|t| (t.name.clone(), there(t.partitions))).collect();
        assert_eq!(changes(&wanted, &found), []);
        found.insert("ns.sample.upstream".into(), there(64));
        found.insert("ns.sample.task".into(), there(4));
        found.remove("ns.sample.dead-letter");
        let changes = changes(&wanted, &found);
        assert_eq!(changes.first(), Some(&Change::Grow { name: "ns.sample.task".into(), from: 4, to: 16 }));
        assert!(
            matches!(changes.get(1), Some(Change::Create(topic)) if topic.name == "ns.sample.dead-letter")
        );
        assert_eq!(changes.len(), 2);
    }
    #[test]
    fn settings_that_differ_are_corrected_and_those_of_others_stay() {
        let wanted = sample();
        let found: BTreeMap<_, _> = wanted.iter().map(|t| (t.name.clone(), there(t.partitions))).collect();
        let config = |retention: &str, in_sync: &str| TopicConfig {
            effective: [(configs::RETENTION, retention), (configs::IN_SYNC, in_sync)]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            own: [("compression.type".to_owned(), "zstd".to_owned())].into(),
        };
        let day = "86400000";
        let configs = [
            ("ns.sample.upstream".to_owned(), config("1000", "1")),
            ("ns.sample.task".to_owned(), config(day, "2")),
        ];
        let changes = corrections(&wanted, &found, &configs.into());
        let [Change::Configure { name, own, told }] = changes.as_slice() else { unreachable!("{changes:?}") };
        assert_eq!(name, "ns.sample.upstream");
        assert_eq!(told, "ns.sample.upstream: retention.ms 1000 → 86400000, min.insync.replicas 1 → 2");
        assert_eq!(own.get("compression.type").map(String::as_str), Some("zstd"));
        assert_eq!(own.len(), 3);
    }

    #[test]
    fn a_topic_of_too_few_replicas_stays_writable() {
        let topic = sample().remove(0);
        assert_eq!([1, 2, 3, 5].map(|replicas| topic.min_in_sync(replicas)), [1, 1, 2, 2]);
    }
}
