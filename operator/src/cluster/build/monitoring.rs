//! What Prometheus scrapes and warns of, in the Prometheus Operator's resources.

use serde_json::{Value, json};

use super::objects::Objects;
use crate::cluster::dereference::Capabilities;
use crate::cluster::validate::ValidCluster;
use crate::names;

const MONITORING: &str = "monitoring.coreos.com/v1";

pub(super) fn add(objects: &mut Objects, cluster: &ValidCluster, capabilities: Capabilities) {
    let wanted = &cluster.spec.observability.metrics;
    if wanted.pod_monitor && capabilities.pod_monitor {
        objects.add_untyped(MONITORING, "PodMonitor", cluster.name.clone(), &pod_monitor(cluster));
    }
    if wanted.alerts && capabilities.prometheus_rule {
        objects.add_untyped(MONITORING, "PrometheusRule", cluster.name.clone(), &rules(cluster));
    }
}

fn pod_monitor(cluster: &ValidCluster) -> Value {
    json!({
        "selector": { "matchLabels": { names::CLUSTER: cluster.name } },
        // They become gochat_io_cluster and gochat_io_workload.
        "podTargetLabels": [names::CLUSTER, names::WORKLOAD],
        "podMetricsEndpoints": [{ "port": names::ADMIN, "path": "/metrics", "interval": "15s" }],
    })
}

/// An alert: name, expression with `SELECT` for the cluster's labels, for how long, severity, what it says.
type Alert = (&'static str, &'static str, &'static str, &'static str, &'static str);

const ALERTS: &[Alert] = &[
    (
        "GoChatGatewayGone",
        "absent(gochat_gateway_connections{SELECT})",
        "2m",
        "critical",
        "No gateway of CLUSTER reports: clients can't connect, or metrics are not scraped.",
    ),
    (
        "GoChatLogUndeliverable",
        "sum(rate(gochat_mq_failed_total{SELECT}[5m])) > 0",
        "2m",
        "critical",
        "CLUSTER can't make records durable in Kafka: clients are told that their messages were not accepted.",
    ),
    (
        "GoChatDatabaseFails",
        "sum(rate(gochat_repo_failures_total{SELECT}[5m])) > 0",
        "5m",
        "critical",
        "Calls of CLUSTER's repo fail: MySQL is away or refuses. Messages wait in the log.",
    ),
    (
        "GoChatAcceptSlow",
        "histogram_quantile(0.99, sum by (le) (rate(gochat_gateway_accept_seconds_bucket{SELECT}[5m]))) > 1",
        "10m",
        "warning",
        "One in a hundred messages of CLUSTER takes more than a second to be accepted: look at Kafka.",
    ),
    (
        "GoChatClientsSlow",
        "sum(rate(gochat_gateway_dropped_pushes_total{SELECT}[5m])) > 0.05 * sum(rate(gochat_gateway_deliveries_total{SELECT}[5m]))",
        "10m",
        "warning",
        "More than 5 % of CLUSTER's deliveries are dropped for clients that don't keep up; these sync instead.",
    ),
    (
        "GoChatDeadLetters",
        "sum(increase(gochat_logic_dead_letters_total{SELECT}[15m])) + sum(increase(gochat_task_dead_letters_total{SELECT}[15m])) > 0",
        "0m",
        "warning",
        "CLUSTER put records aside that can't be processed: read its dead-letter topic.",
    ),
    (
        "GoChatLeasesLost",
        "sum(increase(gochat_coord_leases_lost_total{SELECT}[10m])) > 0",
        "0m",
        "warning",
        "A member of CLUSTER could not renew its lease in time: the API server was away or slow, and its slots moved.",
    ),
    (
        "GoChatRedisFails",
        "sum(rate(gochat_cache_redis_failures_total{SELECT}[5m])) > 0",
        "10m",
        "warning",
        "CLUSTER works without Redis: correct, and slower.",
    ),
];

fn rules(cluster: &ValidCluster) -> Value {
    let select = format!("namespace=\"{}\",gochat_io_cluster=\"{}\"", cluster.namespace, cluster.name);
    let full = format!("{}/{}", cluster.namespace, cluster.name);
    let rules: Vec<Value> = ALERTS
        .iter()
        .map(|(alert, expr, duration, severity, summary)| {
            json!({
                "alert": alert,
                "expr": expr.replace("SELECT", &select),
                "for": duration,
                "labels": { "severity": severity, "cluster": cluster.name },
                "annotations": { "summary": summary.replace("CLUSTER", &full) },
            })
        })
        .collect();
    json!({ "groups": [{ "name": "gochat", "rules": rules }] })
}
