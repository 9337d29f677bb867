//! The operator goes, or becomes another version: what it asked for is done by the next, and no pod of a chat system
//! notices.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gochat_e2e_kubernetes::{Chat, alone, eventually, json, kubectl, operator, record, tag_image};
use serde_json::Value;

const WITHIN: Duration = Duration::from_secs(90);

#[test]
fn another_operator_leads_and_an_upgrade_restarts_no_pod() -> Result<()> {
    let Some(_cluster) = alone("another_operator_leads_and_an_upgrade_restarts_no_pod") else {
        return Ok(());
    };
    let chat = Chat::create("e2e-operator", "  gateway: { shards: 16 }")?;
    chat.ready(Duration::from_secs(180))?;
    let mut replicas = 2;
    // Asks for another number of pods, and waits until the operator has seen to it: 2 and 3 in turn.
    let mut obeyed = || {
        replicas = 5 - replicas;
        let wanted = format!("--replicas={replicas}");
        chat.kubectl(&["scale", "gochatscaler/chat-task", &wanted])?;
        let done = || {
            let deployment = chat.get(&["deployment", "chat-task"])?;
            Ok(deployment.pointer("/spec/replicas").and_then(Value::as_u64) == Some(replicas))
        };
        eventually(&format!("{replicas} tasks"), WITHIN, done)
    };
    operator::settled()?;
    record(&format!("operator at rest: a change is obeyed after {:.1} s", obeyed()?.as_secs_f64()))?;

    let leader = operator::leader()?;
    kill(&leader)?;
    record(&format!("operator killed: a change is obeyed after {:.1} s", obeyed()?.as_secs_f64()))?;

    operator::settled()?;
    let leader = operator::leader()?;
    let began = Instant::now();
    kubectl(&["delete", "pod", &leader, "--namespace", operator::NAMESPACE, "--wait=false"])?;
    operator::another_leads(&leader, WITHIN)?;
    record(&format!("operator's pod deleted: another leads after {:.1} s", began.elapsed().as_secs_f64()))?;
    obeyed()?;
    operator::settled()?;

    // Whatever the number of tasks was changed to is there, before it is looked at who was restarted.
    chat.whole_without(&[], WITHIN)?;
    let before = everybody(&chat)?;
    let upgrade = Upgrade::to_the_same_under_another_tag()?;
    // Those of the old one may still be on their way out.
    let new = || Ok(image(&operator::leader()?)?.ends_with(Upgrade::TAG));
    eventually("an operator of the new version leads", WITHIN, new)?;
    chat.ready(WITHIN)?;
    let after = everybody(&chat)?;
    ensure!(before == after, "pods before the operator's upgrade {before:#?}\nand after {after:#?}");
    record(&format!("operator upgraded: a change is obeyed after {:.1} s", obeyed()?.as_secs_f64()))?;
    drop(upgrade);
    Ok(())
}

/// Kills the process in a pod as the kernel does where memory is short: nothing is released, and the kubelet starts it
/// again.
fn kill(pod: &str) -> Result<()> {
    let node = operator::node_of(pod)?;
    let script = format!(
        "kill -9 $(crictl inspect --output go-template --template '{{{{.info.pid}}}}' $(crictl ps -q --label io.kubernetes.pod.name={pod}))"
    );
    run("docker", &["exec", &node, "sh", "-c", &script])
}

/// Every pod that serves, with its identity and its restarts.
fn everybody(chat: &Chat) -> Result<Vec<String>> {
    let pods = chat.all_pods()?.into_iter().filter(|pod| pod.serves);
    let mut all: Vec<_> = pods.map(|pod| format!("{} {} {}", pod.name, pod.uid, pod.restarts)).collect();
    all.sort();
    Ok(all)
}

fn image(pod: &str) -> Result<String> {
    let pod = json(&["get", "pod", pod, "--namespace", operator::NAMESPACE])?;
    let image = pod.pointer("/spec/containers/0/image").and_then(Value::as_str);
    image.map(str::to_owned).context("a pod without an image")
}

/// The operator under a tag of its own; as it was, when dropped.
struct Upgrade;

impl Upgrade {
    const TAG: &str = "e2e-next";

    fn to_the_same_under_another_tag() -> Result<Self> {
        let old = image(&operator::leader()?)?;
        let (repository, _) = old.rsplit_once(':').context("an image without a tag")?;
        let new = format!("{repository}:{}", Self::TAG);
        // The names that containerd knows them by.
        let full = |image: &str| {
            if image.contains('/') { image.to_owned() } else { format!("docker.io/library/{image}") }
        };
        tag_image(&full(&old), &full(&new))?;
        // Before the attempt, so that one that fails is taken back as well.
        let upgrade = Self;
        Self::helm(&format!("image.tag={}", Self::TAG))?;
        Ok(upgrade)
    }

    fn helm(set: &str) -> Result<()> {
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/gochat-operator");
        let release = ["upgrade", "gochat", chart, "--namespace", operator::NAMESPACE, "--reuse-values"];
        run("helm", &[release.as_slice(), &["--set", set, "--wait", "--timeout", "120s"]].concat())
    }
}

impl Drop for Upgrade {
    fn drop(&mut self) {
        if let Err(error) = Self::helm("image.tag=") {
            eprintln!("{error:#}");
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("run {program}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {error}", arguments.join(" "));
    Ok(())
}
