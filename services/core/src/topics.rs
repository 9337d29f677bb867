//! The log's topics: what they are called and how many partitions they have. All services of a cluster have to agree on
//! both, so both have one home in the settings, from which every service is given them.

use crate::SlotCount;

/// The topics of one cluster; `prefix` keeps several clusters on one Kafka apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// What clients ask for; partition by conversation; consumed by logic.
    pub upstream: String,
    /// What clients are told; partition = shard of the user; consumed by the shard's home gateway.
    pub downstream: String,
    /// Large fan-outs and push notifications; partition by conversation; consumed by task.
    pub task: String,
    /// Records that can't be processed, with the reason.
    pub dead_letter: String,
}

impl Topics {
    /// `Topics::new("gochat")` names `gochat.upstream` and so on.
    pub fn new(prefix: &str) -> Self {
        let name = |topic| format!("{prefix}.{topic}");
        Self {
            upstream: name("upstream"),
            downstream: name("downstream"),
            task: name("task"),
            dead_letter: name("dead-letter"),
        }
    }
}

/// How many slots each placed workload has, which are the partitions of its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Gateway shards: partitions of `downstream`. Never changed in a cluster's life.
    pub shards: SlotCount,
    /// Partitions of `upstream`.
    pub upstream: SlotCount,
    /// Partitions of `task`.
    pub task: SlotCount,
}
