//! What Prometheus scrapes and warns of, in the Prometheus Operator's resources.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
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

/// The alerts, for all of Prometheus's users. Of a cluster are those of the group `gochat`, with its labels in each empty
/// selector.
const ALERTS: &str = include_str!("../../../../observability/alerts.yaml");
const GROUP: &str = "gochat";

/// As far as they are changed here.
#[derive(Deserialize)]
struct Alerts {
    groups: Vec<Group>,
}

#[derive(Deserialize, Serialize)]
struct Group {
    name: String,
    rules: Vec<Alert>,
}

#[derive(Deserialize, Serialize)]
struct Alert {
    expr: String,
    labels: BTreeMap<String, String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

fn rules(cluster: &ValidCluster) -> Value {
    let select = format!("{{namespace=\"{}\",gochat_io_cluster=\"{}\"}}", cluster.namespace, cluster.name);
    // Never fails: a test reads them.
    let mut groups = serde_saphyr::from_str::<Alerts>(ALERTS).map(|alerts| alerts.groups).unwrap_or_default();
    groups.retain(|group| group.name == GROUP);
    for alert in groups.iter_mut().flat_map(|group| &mut group.rules) {
        alert.expr = alert.expr.replace("{}", &select);
        alert.labels.insert("namespace".to_owned(), cluster.namespace.clone());
        alert.labels.insert("cluster".to_owned(), cluster.name.clone());
    }
    json!({ "groups": groups })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn each_metric_of_a_clusters_alerts_can_be_told_from_another_clusters() {
        let alerts: Alerts = serde_saphyr::from_str(ALERTS).unwrap();
        let group = alerts.groups.iter().find(|group| group.name == GROUP).unwrap();
        assert!(group.rules.len() > 5);
        for Alert { expr, .. } in &group.rules {
            let metrics = expr.matches("gochat_").count() + expr.matches("process_").count();
            assert_eq!(metrics, expr.matches("{}").count(), "{expr}");
        }
    }
}
