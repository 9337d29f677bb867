//! Why it is as it is: what is not well, and each decision with its numbers.

use std::fmt::Write as _;

use gochat_crds::GoChatCluster;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::json;

use crate::output::{Table, age};
use crate::session::{Session, explain};

/// The newest ones.
const SHOWN: usize = 40;

pub(crate) async fn run(session: &Session) -> anyhow::Result<()> {
    let cluster = session.cluster().await?;
    let mut events = session.api::<Event>().list(&ListParams::default()).await.map_err(explain)?.items;
    events.retain(|event| is_about(event, &cluster));
    events.sort_by_key(at);
    let value =
        json!({ "conditions": cluster.status.as_ref().map(|status| &status.conditions), "events": events });
    session.print(&value, || view(&cluster, &events, Timestamp::now()))
}

/// Of the cluster, or of what the operator decides about for it.
fn is_about(event: &Event, cluster: &GoChatCluster) -> bool {
    let Some(about) = &event.regarding else { return false };
    let ours = event.reporting_controller.as_deref() == Some("gochat.io/operator");
    about.uid.is_some() && about.uid == cluster.metadata.uid
        || ours && about.kind.as_deref() == Some("GoChatRebalance")
}

fn at(event: &Event) -> Timestamp {
    let series = event.series.as_ref().map(|series| series.last_observed_time.0);
    let created = || event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    series.or_else(|| event.event_time.as_ref().map(|time| time.0)).or_else(created).unwrap_or_default()
}

fn view(cluster: &GoChatCluster, events: &[Event], now: Timestamp) -> String {
    let status = cluster.status.clone().unwrap_or_default();
    // Of these, true is the bad news.
    let bad = |condition: &&Condition| match condition.type_.as_str() {
        "Degraded" | "Stalled" | "Progressing" | "Reconciling" => condition.status == "True",
        _ => condition.status != "True",
    };
    let mut text = String::new();
    for condition in status.conditions.iter().filter(bad) {
        let since = age(condition.last_transition_time.0, now);
        let Condition { type_, status, reason, message, .. } = condition;
        let _ = writeln!(text, "{type_}={status} for {since}: {reason}\n  {message}");
    }
    if text.is_empty() {
        text = format!("{} is as it should be\n", cluster.name_any());
    }
    let workloads = &status.workloads;
    let all = [
        ("gateway", &workloads.gateway),
        ("logic", &workloads.logic),
        ("task", &workloads.task),
        ("repo", &workloads.repo),
    ];
    for (name, workload) in all {
        if let Some(why) = &workload.scaling {
            let _ = writeln!(text, "{name} has {} pods: {why}", workload.desired);
        }
    }
    if events.is_empty() {
        return format!("{text}\nno decision was recorded lately (Events are kept for an hour)");
    }
    let mut table = Table::new(&["AGO", "WHAT", "WHY"]);
    for event in events.iter().skip(events.len().saturating_sub(SHOWN)) {
        let warning = if event.type_.as_deref() == Some("Warning") { "!" } else { "" };
        table.row([
            age(at(event), now),
            format!("{warning}{}", event.reason.clone().unwrap_or_default()),
            event.note.clone().unwrap_or_default().replace('\n', " "),
        ]);
    }
    format!("{text}\n{table}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_as_people_see_it() {
        let event = |at: &str, kind: &str, reason: &str, note: &str| -> Event {
            serde_json::from_value(json!({
                "metadata": {}, "eventTime": at, "type": kind, "reason": reason, "note": note,
                "regarding": { "kind": "GoChatCluster", "name": "chat" },
            }))
            .unwrap()
        };
        let events = [
            event(
                "2026-01-01T11:40:00.000000Z",
                "Normal",
                "SlotsMoved",
                "logic epoch 1: 16 slots dealt to 2 members",
            ),
            event(
                "2026-01-01T11:58:30.000000Z",
                "Normal",
                "Scaled",
                "gateway 2 → 3: 26,000 connections / 10,000 per pod × 1.2 headroom",
            ),
            event(
                "2026-01-01T11:59:59.000000Z",
                "Warning",
                "TopicsLeft",
                "after 60s the topics are still there, and stay",
            ),
        ];
        let now = "2026-01-01T12:00:00Z".parse().unwrap();
        insta::assert_snapshot!(view(&crate::status::tests::cluster(), &events, now));
    }
}
