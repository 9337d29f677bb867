//! Is it well?

use std::fmt::Write as _;

use gochat_crds::{GoChatCluster, GoChatPlacement, WorkloadStatus};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::json;

use crate::output::{Table, age, cut};
use crate::session::Session;

pub(crate) async fn run(session: &Session) -> anyhow::Result<()> {
    let cluster = session.cluster().await?;
    let placements = session.placements(&cluster.name_any()).await?;
    let value = json!({ "cluster": cluster, "placements": placements });
    session.print(&value, || view(&cluster, &placements, Timestamp::now()))
}

fn view(cluster: &GoChatCluster, placements: &[GoChatPlacement], now: Timestamp) -> String {
    let status = cluster.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    let word = match ready.map(|condition| condition.status.as_str()) {
        Some("True") => "ready",
        Some("False") => "not ready",
        _ => "unknown",
    };
    let mut text = format!("{} is {word}", cluster.name_any());
    if let Some(version) = &status.version {
        let _ = write!(text, ", version {version}");
    }
    if let Some(rollout) = &status.rollout {
        let _ = write!(text, ", {} at step {:?}", rollout.version, rollout.step);
    }
    if let Some(endpoint) = &status.endpoint {
        let _ = write!(text, ", at {endpoint}");
    }
    text = cut(&text, 100);

    let mut workloads =
        Table::new(&["WORKLOAD", "READY", "UPDATED", "SLOTS", "EPOCH", "HOTTEST", "MOVING", "WHY SO MANY"]);
    let all: [(&str, &WorkloadStatus); 4] = [
        ("gateway", &status.workloads.gateway),
        ("logic", &status.workloads.logic),
        ("task", &status.workloads.task),
        ("repo", &status.workloads.repo),
    ];
    for (name, workload) in all {
        let placement = placements.iter().find(|placement| placement.spec.workload.as_str() == name);
        let of = |part: fn(&GoChatPlacement) -> String| placement.map_or_else(|| "-".to_owned(), part);
        workloads.row([
            name.to_owned(),
            format!("{}/{}", workload.ready, workload.desired),
            workload.updated.to_string(),
            of(|placement| placement.spec.owners.len().to_string()),
            of(|placement| placement.spec.epoch.to_string()),
            of(|placement| {
                let load = placement.status.as_ref().and_then(|status| status.load.as_ref());
                load.map_or_else(|| "-".to_owned(), |load| load.hottest.clone())
            }),
            of(|placement| placement.status.as_ref().map_or(0, |status| status.moving).to_string()),
            workload.scaling.clone().unwrap_or_default(),
        ]);
    }
    let mut conditions = Table::new(&["CONDITION", "STATUS", "AGE", "REASON", "MESSAGE"]);
    for condition in &status.conditions {
        conditions.row([
            condition.type_.clone(),
            condition.status.clone(),
            age(condition.last_transition_time.0, now),
            condition.reason.clone(),
            condition.message.replace('\n', " "),
        ]);
    }
    format!("{text}\n\n{workloads}\n{conditions}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn cluster() -> GoChatCluster {
        serde_json::from_value(json!({
            "apiVersion": "gochat.io/v1alpha1", "kind": "GoChatCluster", "metadata": { "name": "chat", "namespace": "a" },
            "spec": { "kafka": { "bootstrap": "kafka:9092" }, "mysql": { "secret": { "name": "mysql" } } },
            "status": {
                "version": "0.1.0", "endpoint": "ws://chat.example.com",
                "conditions": [
                    { "type": "Ready", "status": "False", "reason": "PodsNotReady", "message": "gateway: 2 of 3 pods are ready",
                      "lastTransitionTime": "2026-01-01T11:58:00Z" },
                    { "type": "ScalingActive", "status": "True", "reason": "Deciding", "message": "",
                      "lastTransitionTime": "2026-01-01T00:00:00Z" },
                ],
                "workloads": {
                    "gateway": { "desired": 3, "ready": 2, "updated": 3,
                        "scaling": "2 → 3: 26,000 connections / 10,000 per pod × 1.2 headroom; panic since 12:01:06" },
                    "logic": { "desired": 2, "ready": 2, "updated": 2 },
                    "task": { "desired": 2, "ready": 2, "updated": 2 },
                    "repo": { "desired": 2, "ready": 2, "updated": 2 },
                },
            },
        }))
        .unwrap()
    }

    pub(crate) fn placement() -> GoChatPlacement {
        serde_json::from_value(json!({
            "apiVersion": "gochat.io/v1alpha1", "kind": "GoChatPlacement", "metadata": { "name": "chat-logic" },
            "spec": { "cluster": "chat", "workload": "logic", "epoch": 7, "members": ["chat-logic-a", "chat-logic-b"],
                      "owners": [0, 0, 0, 1, 1, 0, 1, 1] },
            "status": {
                "moving": 1,
                "handovers": [{ "slot": 6, "from": "chat-logic-a", "to": "chat-logic-b", "state": "Planned",
                                "since": "2026-01-01T11:59:55Z" }],
                "load": { "hottest": "1.07", "hottestMember": "chat-logic-a", "reporting": "2/2" },
                "reason": "slot 6 chat-logic-a → chat-logic-b: chat-logic-a is at 1.42 of its share, band 1.10; after: 1.07",
            },
        }))
        .unwrap()
    }

    #[test]
    fn status_as_people_see_it() {
        let now = "2026-01-01T12:00:00Z".parse().unwrap();
        insta::assert_snapshot!(view(&cluster(), &[placement()], now));
    }
}
