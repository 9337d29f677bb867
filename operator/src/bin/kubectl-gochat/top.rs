//! What each pod does now, asked of the pods themselves.

use std::fmt::Write as _;
use std::time::Duration;

use futures::future::join_all;
use gochat_operator::names;
use gochat_proto::ops::{LoadReport, WatchLoadRequest};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use serde_json::json;
use tokio::time::timeout;

use crate::ops;
use crate::output::{Table, grouped};
use crate::session::{Session, explain};

/// The first report of a stream has no rates yet: the second one is shown.
const REPORTS: usize = 2;
const WITHIN: Duration = Duration::from_secs(10);

struct Row {
    pod: String,
    report: Result<LoadReport, String>,
}

pub(crate) async fn run(session: &Session) -> anyhow::Result<()> {
    let cluster = session.cluster().await?.name_any();
    let api = session.api::<Pod>();
    let params = ListParams::default().labels(&format!(
        "{}={cluster},{} in (gateway,logic,task)",
        names::CLUSTER,
        names::WORKLOAD
    ));
    let pods = api.list(&params).await.map_err(explain)?.items;
    let rows = join_all(pods.iter().map(|pod| row(&api, pod))).await;
    let value: Vec<_> = rows.iter().map(value).collect();
    session.print(&value, || view(&rows))
}

async fn row(api: &Api<Pod>, pod: &Pod) -> Row {
    let report = timeout(WITHIN, report(api, pod)).await;
    let report = report.unwrap_or_else(|_| Err(anyhow::anyhow!("no report within {} s", WITHIN.as_secs())));
    Row { pod: pod.name_any(), report: report.map_err(|error| format!("{error:#}")) }
}

async fn report(api: &Api<Pod>, pod: &Pod) -> anyhow::Result<LoadReport> {
    let mut client = ops::connect(api, pod).await?;
    let mut reports = client.watch_load(WatchLoadRequest { interval_ms: 1_000 }).await?.into_inner();
    let mut last = LoadReport::default();
    for _ in 0..REPORTS {
        last = reports.message().await?.ok_or_else(|| anyhow::anyhow!("it stops"))?;
    }
    Ok(last)
}

fn value(row: &Row) -> serde_json::Value {
    match &row.report {
        Err(error) => json!({ "pod": row.pod, "error": error }),
        Ok(report) => json!({
            "pod": row.pod,
            "workload": report.workload,
            "epoch": report.epoch,
            "connections": report.connections,
            "messagesPerSecond": report.messages_per_second,
            "cpuCores": report.cpu_cores,
            "residentBytes": report.resident_bytes,
            "draining": report.draining,
            "slots": report.slots.iter().map(|slot| json!({
                "slot": slot.slot, "recordsPerSecond": slot.records_per_second, "bytesPerSecond": slot.bytes_per_second,
                "lag": slot.lag, "users": slot.users,
            })).collect::<Vec<_>>(),
        }),
    }
}

fn view(rows: &[Row]) -> String {
    let mut table = Table::new(&["POD", "SLOTS", "CONNS", "MSG/S", "LAG", "CPU", "MEMORY", "HOTTEST SLOT"]);
    let mut silent = String::new();
    for row in rows {
        let report = match &row.report {
            Ok(report) => report,
            Err(error) => {
                let _ = write!(silent, "\n{}: {error}", row.pod);
                continue;
            }
        };
        let hottest =
            report.slots.iter().max_by(|a, b| a.records_per_second.total_cmp(&b.records_per_second));
        let hottest = hottest.map(|slot| format!("{} at {}/s", slot.slot, grouped(slot.records_per_second)));
        let drains = if report.draining { " (drains)" } else { "" };
        table.row([
            format!("{}{drains}", row.pod),
            report.slots.len().to_string(),
            grouped(report.connections as f64),
            grouped(report.messages_per_second),
            grouped(report.slots.iter().map(|slot| slot.lag).sum::<u64>() as f64),
            format!("{:.2}", report.cpu_cores),
            format!("{} MiB", grouped(report.resident_bytes as f64 / 1_048_576.0)),
            hottest.unwrap_or_default(),
        ]);
    }
    format!("{table}{silent}")
}

#[cfg(test)]
mod tests {
    use gochat_proto::ops::SlotLoad;

    use super::*;

    #[test]
    fn top_as_people_see_it() {
        let slots = [3, 9].map(|slot| SlotLoad {
            slot,
            records_per_second: 400.0 * f64::from(slot),
            lag: 7,
            ..SlotLoad::default()
        });
        let report = LoadReport {
            slots: slots.to_vec(),
            connections: 20_600,
            messages_per_second: 4_800.4,
            cpu_cores: 0.734,
            resident_bytes: 180 << 20,
            draining: true,
            ..LoadReport::default()
        };
        let rows = [
            Row { pod: "chat-gateway-5d9c7b6f4-x7k2p".into(), report: Ok(report) },
            Row { pod: "chat-logic-6b8d5c9f7-q2m8z".into(), report: Err("it does not answer".into()) },
        ];
        insta::assert_snapshot!(view(&rows));
    }
}
