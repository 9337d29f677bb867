//! A node goes, in every way it can, while people chat, and with it half of the pods and the operator that leads: people
//! are served again, the ledger is clean, and the node comes back. Prints how long each is felt.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gochat_e2e_kubernetes::{Chat, Node, Pod, WORKLOADS, alone, eventually, operator, under};

const WORKER: &str = "gochat-worker";
const WITHIN: Duration = Duration::from_secs(180);
/// One node has to have room for all pods, beside the control plane and the sample.
const SPEC: &str = "
  gateway: { shards: 16, service: { type: NodePort }, pod: { resources: { requests: { cpu: 5m } } } }
  logic: { pod: { resources: { requests: { cpu: 5m } } } }
  repo: { pod: { resources: { requests: { cpu: 5m } } } }
  task: { pod: { resources: { requests: { cpu: 5m } } } }";

#[test]
fn a_node_goes_and_comes_back_and_no_accepted_message_is_lost() -> Result<()> {
    let Some(_cluster) = alone("a_node_goes_and_comes_back_and_no_accepted_message_is_lost") else {
        return Ok(());
    };
    let chat = Chat::create("e2e-nodes", SPEC)?;
    chat.ready(WITHIN)?;
    fails(&chat, "node-powered-off", Node::power_off)?;
    // Its processes live on, with sockets and with slots that others take over.
    fails(&chat, "node-cut-off", Node::cut_off)?;
    let lost = spread(&chat)?;
    under(&chat, "node-drained", || {
        let began = Instant::now();
        let node = Node::drain(WORKER)?;
        let drained = began.elapsed();
        chat.whole_without(&lost, WITHIN)?;
        let whole = began.elapsed();
        node.back()?;
        Ok(format!(
            "drained in {:.1} s, all pods again after {:.1} s",
            drained.as_secs_f64(),
            whole.as_secs_f64()
        ))
    })
}

/// The node with the leading operator fails, and comes back when all is well without it.
fn fails(chat: &Chat, fault: &str, how: fn(&str) -> Result<Node>) -> Result<()> {
    let lost = spread(chat)?;
    let leader = operator::lead_from(WORKER)?;
    under(chat, fault, || there_and_back(chat, &lost, &leader, how))
}

fn there_and_back(chat: &Chat, lost: &[Pod], leader: &str, how: fn(&str) -> Result<Node>) -> Result<String> {
    let began = Instant::now();
    let since = || began.elapsed().as_secs_f64();
    let node = how(WORKER)?;
    node.noticed()?;
    let noticed = since();
    operator::another_leads(leader, WITHIN)?;
    let leads = since();
    chat.whole_without(lost, WITHIN)?;
    let whole = since();
    let back = node.back()?.as_secs_f64();
    // What it still ran was replaced, and goes now.
    let gone = || Ok(!chat.all_pods()?.iter().any(|pod| lost.iter().any(|lost| lost.uid == pod.uid)));
    eventually("the replaced pods are gone", WITHIN, gone)?;
    chat.whole_without(lost, WITHIN)?;
    operator::settled()?;
    Ok(format!(
        "noticed after {noticed:.1} s, another operator leads after {leads:.1} s, all pods again after {whole:.1} s; back in {back:.1} s"
    ))
}

/// Pods of each workload on both nodes: after a node was away all are on the others, and stay there. Gives those on the
/// worker.
fn spread(chat: &Chat) -> Result<Vec<Pod>> {
    let mut moved = Vec::new();
    let pods = chat.all_pods()?;
    for workload in WORKLOADS {
        let mut all = pods.iter().filter(|pod| pod.workload == workload);
        if all.clone().any(|pod| pod.node == WORKER) {
            continue;
        }
        // Its successor goes where fewer are.
        let Some(pod) = all.next() else { continue };
        chat.kubectl(&["delete", "pod", &pod.name, "--wait=false"])?;
        moved.push(pod.clone());
    }
    chat.whole_without(&moved, WITHIN)?;
    let pods: Vec<_> = chat.all_pods()?.into_iter().filter(|pod| pod.node == WORKER && pod.serves).collect();
    for workload in WORKLOADS {
        ensure!(pods.iter().any(|pod| pod.workload == workload), "no pod of {workload} on {WORKER}");
    }
    Ok(pods)
}
