//! The metrics that the operator has, in words. What counts them uses their names.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Describes them, once a process.
pub fn describe() {
    describe_counter!("gochat_operator_reconciles_total", "Looks at a cluster, by outcome: ok, error.");
    describe_histogram!("gochat_operator_reconcile_seconds", Unit::Seconds, "How long a look took.");
    describe_counter!(
        "gochat_operator_writes_total",
        "Requests that ask the API server for a change, by method and outcome: sent, failed, refused (not leading)."
    );
    describe_counter!("gochat_operator_kafka_changes_total", "What was done to a broker.");
    describe_counter!("gochat_operator_events_total", "Events that were told.");
    describe_counter!(
        "gochat_operator_events_dropped_total",
        "Events that were not: too many, or not taken."
    );
    describe_gauge!("gochat_operator_leader", "1 while this operator leads.");
    describe_gauge!("gochat_operator_clusters", "GoChatClusters that are looked after.");
    describe_gauge!("gochat_operator_children", "Objects that are watched for them.");
    describe_gauge!("gochat_operator_queue", "Clusters that wait to be looked at.");
}
