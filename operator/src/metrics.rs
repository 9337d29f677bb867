//! The metrics that the operator has, in words. What counts them uses their names.

use gochat_crds::ScaledWorkload;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

/// Describes them, once a process.
pub fn describe() {
    describe_counter!("gochat_operator_reconciles_total", "Looks at a cluster, by outcome: ok, error.");
    describe_histogram!("gochat_operator_reconcile_seconds", Unit::Seconds, "How long a look took.");
    describe_counter!(
        "gochat_operator_writes_total",
        "Requests that ask the API server for a change, by method and outcome: sent, failed, refused (not leading)."
    );
    describe_counter!("gochat_operator_kafka_changes_total", "What was done to a broker.");
    describe_gauge!(
        "gochat_operator_lag_records",
        "Records that wait for a workload of a cluster, by the broker's offsets; read once a minute."
    );
    describe_counter!("gochat_operator_events_total", "Events that were told.");
    describe_counter!(
        "gochat_operator_events_dropped_total",
        "Events that were not: too many, or not taken."
    );
    describe_gauge!("gochat_operator_leader", "1 while this operator leads.");
    describe_gauge!("gochat_operator_clusters", "GoChatClusters that are looked after.");
    describe_gauge!("gochat_operator_children", "Objects that are watched for them.");
    describe_gauge!(
        "gochat_operator_hottest_ratio",
        "Load of the hottest member over its share, the highest of all clusters: 1 is even; 0 without a report."
    );
    describe_gauge!("gochat_operator_unbalanced_clusters", "Clusters outside of their band.");
    describe_counter!(
        "gochat_operator_scale_decisions_total",
        "Changes of replicas, by workload and direction."
    );
    describe_counter!(
        "gochat_operator_moves_total",
        "Slots given to another member, by workload and reason."
    );
    // A rate has to see the zero before the first.
    counter!("gochat_operator_events_dropped_total").increment(0);
    counter!("gochat_operator_writes_total", "method" => "PATCH", "outcome" => "failed").increment(0);
    for outcome in ["ok", "error"] {
        counter!("gochat_operator_reconciles_total", "outcome" => outcome).increment(0);
    }
    for workload in ["gateway", "logic", "task"] {
        counter!("gochat_operator_moves_total", "workload" => workload, "reason" => "surplus").increment(0);
    }
    for workload in ScaledWorkload::ALL {
        for direction in ["up", "down"] {
            let labels = [("workload", workload.as_str()), ("direction", direction)];
            counter!("gochat_operator_scale_decisions_total", &labels).increment(0);
        }
    }
}
