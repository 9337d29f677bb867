//! The topics of a cluster, and what to do about those that are there. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use gochat_core::Topics;
use gochat_crds::GoChatClusterSpec;

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
}

impl Topic {
    /// What a write has to reach: one fewer than there are, so that one may be away.
    pub(super) fn min_in_sync(&self) -> u32 {
        self.replication.saturating_sub(1).max(1)
    }
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Create(Topic),
    Grow { name: String, from: u32, to: u32 },
}

/// The topics of a cluster.
pub(super) fn topics(key: &ClusterKey, spec: &GoChatClusterSpec) -> Vec<Topic> {
    let settings = &spec.kafka.topics;
    let prefix = settings.prefix.clone().unwrap_or_else(|| format!("{}.{}", key.namespace, key.name));
    let Topics { upstream, downstream, task, dead_letter } = Topics::new(&prefix);
    let sized = [
        (upstream, settings.upstream.partitions.min),
        // One a shard.
        (downstream, spec.gateway.shards),
        (task, settings.task.partitions.min),
        // Rare, and read by people.
        (dead_letter, 1),
    ];
    let topic = |(name, partitions)| Topic {
        name,
        partitions,
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
        let sizes: Vec<_> = topics.iter().map(|t| (t.name.as_str(), t.partitions, t.min_in_sync())).collect();
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
}
