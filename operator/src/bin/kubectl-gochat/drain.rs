//! Empties one pod.
//!
//! By its own `ops.v1.Drain`: it tells the operator, which deals its slots to the others, and tells its clients to go.

use anyhow::{Context as _, bail};
use gochat_operator::names;
use gochat_proto::ops::DrainRequest;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use crate::ops;
use crate::output::{grouped, say};
use crate::session::{Session, explain};

pub(crate) async fn run(session: &Session, name: &str) -> anyhow::Result<()> {
    let api = session.api::<Pod>();
    let found = api.get_opt(name).await.map_err(explain)?;
    let pod = found.with_context(|| format!("no pod {name} in namespace {}", session.namespace))?;
    let workload = pod.labels().get(names::WORKLOAD).map(String::as_str);
    if !matches!(workload, Some("gateway" | "logic" | "task")) {
        bail!("{name} has no slots: only pods of gateway, logic and task are drained");
    }
    let mut client = ops::connect(&api, &pod).await?;
    let mut progress = client.drain(DrainRequest { window_ms: 0 }).await?.into_inner();
    let mut said = String::new();
    while let Some(left) = progress.message().await.context("the pod is gone before it was empty")? {
        if left.done {
            return say(&format!("{name} is empty; it takes nothing new until it is deleted"));
        }
        let text =
            format!("{} slots, {} connections left", left.slots_left, grouped(left.connections_left as f64));
        if text != said {
            say(&text)?;
            said = text;
        }
    }
    bail!("{name} stopped to tell before it was empty")
}
