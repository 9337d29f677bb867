//! Asks for a plan, shows it, has it approved, and follows it: all of it is one GoChatRebalance.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use gochat_crds::{GoChatRebalance, GoChatRebalanceSpec, PlacedWorkload, RebalancePhase, RebalanceStatus};
use gochat_operator::names;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::output::{Format, Table, say};
use crate::session::{Session, explain};

const LOOK_EVERY: Duration = Duration::from_millis(300);
/// A plan needs a report of every member; that takes seconds.
const PLANNED_WITHIN: Duration = Duration::from_secs(30);
/// Moves that are shown.
const SHOWN: usize = 20;

#[derive(clap::Args)]
pub(crate) struct RebalanceArgs {
    /// gateway, logic or task
    #[arg(value_parser = crate::workload)]
    workload: PlacedWorkload,
    /// Only propose
    #[arg(long)]
    dry_run: bool,
    /// Move without asking
    #[arg(short, long, conflicts_with = "dry_run")]
    yes: bool,
    /// Pod that should end up with no slot; may be given several times
    #[arg(long, value_name = "POD")]
    evacuate: Vec<String>,
    /// Most slots to move; the cluster's policy by default
    #[arg(long, value_name = "N")]
    max_moves: Option<u32>,
    /// Most handovers at a time
    #[arg(long, value_name = "N", default_value_t = 8)]
    parallel: u32,
}

pub(crate) async fn run(session: &Session, args: &RebalanceArgs) -> anyhow::Result<()> {
    let cluster = session.cluster().await?.name_any();
    let api = session.api::<GoChatRebalance>();
    let spec = GoChatRebalanceSpec {
        workload: args.workload,
        evacuate: args.evacuate.clone(),
        max_moves: args.max_moves,
        parallel: args.parallel,
        dry_run: args.dry_run,
        auto_approve: args.yes,
        cluster: cluster.clone(),
    };
    let mut asked = GoChatRebalance::new("", spec);
    asked.metadata.name = None;
    asked.metadata.generate_name = Some(format!("{cluster}-{}-", args.workload.as_str()));
    let name = api.create(&PostParams::default(), &asked).await.map_err(explain)?.name_any();

    let begun = Instant::now();
    let planned = loop {
        let rebalance = api.get(&name).await.map_err(explain)?;
        let status = rebalance.status.clone().unwrap_or_default();
        if status.phase != RebalancePhase::New {
            break rebalance;
        }
        if begun.elapsed() > PLANNED_WITHIN {
            let why =
                status.message.unwrap_or_else(|| "the operator does not answer; is it running?".to_owned());
            bail!("{name} is not planned yet: {why}");
        }
        sleep(LOOK_EVERY).await;
    };
    let status = planned.status.clone().unwrap_or_default();
    if session.format != Format::Table && args.dry_run {
        return session.print(&planned, String::new);
    }
    if status.phase == RebalancePhase::Proposed || args.dry_run {
        say(plan(&name, &status).trim_end())?;
    }
    if args.dry_run {
        return Ok(());
    }
    if status.phase == RebalancePhase::Proposed && !args.yes && !approve(&api, &name).await? {
        return Ok(());
    }
    let last = follow(&api, &name).await?;
    session.print(&last, || end(&last))
}

/// Asks the person, where there is one.
async fn approve(api: &Api<GoChatRebalance>, name: &str) -> anyhow::Result<bool> {
    let how = format!("kubectl annotate gcr {name} {}=true", names::APPROVE);
    if !std::io::stdin().is_terminal() {
        say(&format!("not approved: repeat with --yes, or: {how}"))?;
        return Ok(false);
    }
    let answer = tokio::task::spawn_blocking(|| {
        let mut out = std::io::stderr();
        write!(out, "Move them? [y/N] ")?;
        out.flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map(|_| answer)
    });
    if !matches!(answer.await??.trim(), "y" | "Y" | "yes") {
        say(&format!("nothing moves. Later: {how}; or: kubectl delete gcr {name}"))?;
        return Ok(false);
    }
    let patch = json!({ "metadata": { "annotations": { (names::APPROVE): "true" } } });
    api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.map_err(explain)?;
    Ok(true)
}

async fn follow(api: &Api<GoChatRebalance>, name: &str) -> anyhow::Result<GoChatRebalance> {
    let mut said = String::new();
    loop {
        let found = api.get_opt(name).await.map_err(explain)?;
        let rebalance = found.with_context(|| format!("{name} was deleted"))?;
        let status = rebalance.status.clone().unwrap_or_default();
        match status.phase {
            RebalancePhase::Done | RebalancePhase::Stopped => return Ok(rebalance),
            RebalancePhase::Failed => bail!("{name} failed: {}", status.message.unwrap_or_default()),
            _ => {}
        }
        let text = format!("{} moved; {}", status.progress, status.message.unwrap_or_default());
        if text != said {
            say(&text)?;
            said = text;
        }
        sleep(LOOK_EVERY).await;
    }
}

fn plan(name: &str, status: &RebalanceStatus) -> String {
    let mut text = format!("{name}: {}\n", status.message.as_deref().unwrap_or_default());
    if let Some(imbalance) = &status.imbalance {
        let _ = writeln!(
            text,
            "hottest member at {} of its share now, {} after",
            imbalance.before, imbalance.expected
        );
    }
    if status.moves.is_empty() {
        return text;
    }
    let mut table = Table::new(&["SLOT", "FROM", "TO"]);
    for planned in status.moves.iter().take(SHOWN) {
        let from = planned.from.clone().unwrap_or_else(|| "-".to_owned());
        table.row([planned.slot.to_string(), from, planned.to.clone()]);
    }
    let more = status.moves.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("and {more} more\n") } else { String::new() };
    format!("{text}\n{table}{more}")
}

fn end(rebalance: &GoChatRebalance) -> String {
    let status = rebalance.status.clone().unwrap_or_default();
    let mut text = format!("{:?}: {}", status.phase, status.message.unwrap_or_default());
    if let Some(reached) = status.imbalance.and_then(|imbalance| imbalance.reached) {
        let _ = write!(text, "; hottest member at {reached} of its share");
    }
    text
}

#[cfg(test)]
mod tests {
    use gochat_crds::{Imbalance, PlannedMove};

    use super::*;

    #[test]
    fn a_plan_as_people_see_it() {
        let moves = (0..22).map(|slot| PlannedMove {
            slot,
            from: Some("chat-logic-a".into()),
            to: "chat-logic-b".into(),
        });
        let status = RebalanceStatus {
            phase: RebalancePhase::Proposed,
            message: Some(
                "22 slots to move; waits for approval: annotate with gochat.io/approve=true".into(),
            ),
            imbalance: Some(Imbalance { before: "1.42".into(), expected: "1.06".into(), reached: None }),
            total: 22,
            moves: moves.collect(),
            ..RebalanceStatus::default()
        };
        insta::assert_snapshot!(plan("chat-logic-x2v9f", &status));
    }
}
