//! An HPA on metrics-server owns how many pods there are, and the operator only follows.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gochat_e2e_kubernetes::{Chat, Load, alone, apply, eventually};
use serde_json::Value;

/// The sample, for a load as small and as short as this one.
fn sample() -> Result<String> {
    let mut text = include_str!("../../../../crds/samples/hpa.yaml").to_owned();
    for (from, to) in [("averageValue: 500m", "averageValue: 40m"), ("Seconds: 300", "Seconds: 0")] {
        ensure!(text.contains(from), "the sample has no {from}");
        text = text.replace(from, to);
    }
    Ok(text)
}

#[test]
fn an_hpa_scales_gateways_up_and_down_under_load_and_the_operator_lets_it() -> Result<()> {
    let Some(_cluster) = alone("an_hpa_scales_gateways_up_and_down_under_load_and_the_operator_lets_it")
    else {
        return Ok(());
    };
    // The operator would have two, always.
    let chat = Chat::create(
        "e2e-autoscaler",
        "  gateway: { shards: 16, replicas: 2, service: { type: NodePort } }",
    )?;
    chat.ready(Duration::from_secs(180))?;
    apply(chat.namespace(), &sample()?)?;
    let measured = || Ok(hpa(&chat, "/status/currentMetrics/0/resource/current/averageValue")?.is_some());
    eventually("metrics of the gateways", Duration::from_secs(120), measured)
        .with_context(|| chat.diagnosis())?;

    let busy = load(&chat, "busy", "250")?;
    let began = Instant::now();
    reaches(&chat, 4)?;
    let up = began.elapsed();
    let busy = busy.end()?;
    busy.ensure_clean()?;

    let calm = load(&chat, "calm", "5")?;
    let began = Instant::now();
    reaches(&chat, 2)?;
    let down = began.elapsed();
    let calm = calm.end()?;
    calm.ensure_clean()?;

    for (name, at, report) in [("2 → 4", up, &busy), ("4 → 2", down, &calm)] {
        eprintln!(
            "{name} gateways by the HPA after {:.0} s of load; longest outage of a connection {:.0} ms, slowest delivery {:.0} ms",
            at.as_secs_f64(),
            report.number("/longest_outage_ms"),
            report.number("/other_client_ms/max"),
        );
    }
    Ok(())
}

fn load(chat: &Chat, name: &str, rate: &str) -> Result<Load> {
    let arguments = ["--pairs", "20", "--groups", "30x1", "--rate", rate, "--duration", "5m"];
    let load = chat.load(name, &[&arguments[..], &["--prefix", name]].concat())?;
    load.under_way(chat)?;
    Ok(load)
}

/// Waits until the HPA wants so many, and so many serve; the operator had no other number in between.
fn reaches(chat: &Chat, pods: u64) -> Result<()> {
    let mut seen = Vec::new();
    let there = || {
        let number = |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_u64);
        let scaler = chat.get(&["gochatscaler", "chat-gateway"])?;
        let deployment = chat.get(&["deployment", "chat-gateway"])?;
        let (wanted, made) = (number(&scaler, "/spec/replicas"), number(&deployment, "/spec/replicas"));
        if seen.last() != Some(&(wanted, made)) {
            seen.push((wanted, made));
        }
        let ready = number(&deployment, "/status/readyReplicas");
        Ok(wanted == Some(pods) && made == Some(pods) && ready == Some(pods))
    };
    let waited = eventually("the HPA's number of gateways", Duration::from_secs(90), there);
    waited
        .with_context(|| format!("the HPA: {:?}", hpa(chat, "/status")))
        .with_context(|| chat.diagnosis())?;
    // Wanted by the scaler, then made as a Deployment's: never the spec's 2 in between.
    let made: Vec<_> = seen.iter().filter_map(|(_, made)| *made).collect();
    ensure!(
        made.is_sorted() || made.iter().rev().is_sorted(),
        "somebody else scaled too (wanted, made): {seen:?}"
    );
    Ok(())
}

fn hpa(chat: &Chat, pointer: &str) -> Result<Option<Value>> {
    Ok(chat.get(&["hpa", "chat-gateway"])?.pointer(pointer).cloned())
}
