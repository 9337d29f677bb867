//! To a good version and back, in the stated order, while people chat.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gochat_e2e_kubernetes::{Chat, eventually, shared, tag_image};
use serde_json::Value;

const SPEC: &str = "  gateway: { shards: 16, service: { type: NodePort } }";
const NEXT: &str = "e2e-next";

#[test]
fn a_new_version_is_rolled_out_in_order_and_back_again_and_nobody_loses_a_message() -> Result<()> {
    let Some(_cluster) =
        shared("a_new_version_is_rolled_out_in_order_and_back_again_and_nobody_loses_a_message")
    else {
        return Ok(());
    };
    let chat = Chat::create("e2e-versions", SPEC)?;
    chat.ready(Duration::from_secs(180))?;
    let first = version(&chat)?.context("no version")?;
    // The same layers under another tag: what is tested is the way there.
    tag_image(&format!("docker.io/library/gochat:{first}"), &format!("docker.io/library/gochat:{NEXT}"))?;

    roll(&chat, "there", NEXT, &format!("  version: {NEXT}\n{SPEC}"))?;
    roll(&chat, "back", &first, SPEC)
}

/// One change of version under load.
fn roll(chat: &Chat, name: &str, version: &str, spec: &str) -> Result<()> {
    let arguments =
        ["--pairs", "10", "--groups", "30x1", "--rate", "50", "--duration", "5m", "--prefix", name];
    let load = chat.load(name, &arguments)?;
    load.under_way(chat)?;
    let began = Instant::now();
    chat.apply(spec)?;
    let mut told: Vec<(String, Duration)> = Vec::new();
    let done = || {
        let resource = chat.get(&["gochatcluster", Chat::NAME])?;
        let text = |pointer| resource.pointer(pointer).and_then(Value::as_str);
        if let Some(step) = text("/status/rollout/step")
            && told.last().is_none_or(|(last, _)| last != step)
        {
            told.push((step.to_owned(), began.elapsed()));
        }
        Ok(text("/status/version") == Some(version) && resource.pointer("/status/rollout").is_none())
    };
    eventually("the version of all workloads", Duration::from_secs(180), done)
        .with_context(|| chat.diagnosis())?;
    chat.ready(Duration::from_secs(60))?;
    let whole = began.elapsed();
    in_order(chat, version)?;
    let known = ["Migrate", "Repo", "Logic", "Task", "Gateway"];
    let places: Vec<_> = told.iter().map(|(step, _)| known.iter().position(|k| k == step)).collect();
    ensure!(places.is_sorted() && !places.contains(&None), "the status told of the steps as {told:?}");

    let report = load.end()?;
    report.ensure_clean()?;
    let steps: Vec<_> =
        told.iter().map(|(step, at)| format!("{step} after {:.1} s", at.as_secs_f64())).collect();
    eprintln!(
        "{name}, to {version}: {}, Ready after {:.1} s; longest outage of a connection {:.0} ms, slowest delivery {:.0} ms",
        steps.join(", "),
        whole.as_secs_f64(),
        report.number("/longest_outage_ms"),
        report.number("/other_client_ms/max"),
    );
    Ok(())
}

/// Looks at what is there: the migration was over before the first new pod, and each workload before the next.
fn in_order(chat: &Chat, version: &str) -> Result<()> {
    let jobs = chat.get(&["jobs", "-l", "gochat.io/cluster=chat"])?;
    // That of the version before may still be there.
    let ends = jobs.get("items").and_then(Value::as_array).into_iter().flatten();
    let migrated = ends.filter_map(|job| job.pointer("/status/completionTime")?.as_str()).max();
    let mut before = migrated.context("the migration has not ended")?.to_owned();
    for workload in ["repo", "logic", "task", "gateway"] {
        let mut made = Vec::new();
        // Old ones may still be about to end.
        let stays = |pod: &Value| pod.pointer("/metadata/deletionTimestamp").is_none();
        for pod in chat.pods(workload)?.into_iter().filter(stays) {
            let image = pod.pointer("/spec/containers/0/image").and_then(Value::as_str).unwrap_or_default();
            ensure!(image.ends_with(&format!(":{version}")), "a pod of {workload} runs {image}");
            let at = pod.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
            made.push(at.context("a pod without a time")?.to_owned());
        }
        made.sort();
        let (first, last) = (made.first().context("no pods")?, made.last().context("no pods")?);
        ensure!(*first >= before, "{workload}'s first pod is of {first}; what comes before it, of {before}");
        before.clone_from(last);
    }
    Ok(())
}

fn version(chat: &Chat) -> Result<Option<String>> {
    let resource = chat.get(&["gochatcluster", Chat::NAME])?;
    Ok(resource.pointer("/status/version").and_then(Value::as_str).map(str::to_owned))
}
