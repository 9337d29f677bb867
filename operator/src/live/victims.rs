//! Which pods go when a workload shrinks: those that take least with them. A ReplicaSet asks no operator; it goes by the
//! annotation `controller.kubernetes.io/pod-deletion-cost` (KEP-2255), which is written when a scale-down is decided and at no
//! other time.
//!
//! A ReplicaSet takes pods that are not ready first, whatever they cost, so those count as chosen.

use std::collections::BTreeMap;

use gochat_crds::ScaledWorkload;
use gochat_proto::ops::LoadReport;
use k8s_openapi::api::core::v1 as core;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::pods::Pod;
use crate::cluster::ClusterKey;

/// What a ReplicaSet ranks pods by: the lowest goes first, and without it a pod has 0.
pub(super) const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// Pods chosen at a time: each is a request before the scale-down.
const MOST: usize = 100;

/// A pod, and what it would take with it.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) pod: Pod,
    burden: u64,
}

impl Candidate {
    pub(super) fn new(name: String, pod: Pod, report: Option<&LoadReport>) -> Self {
        let burden = report.map_or(0, |report| match pod.workload {
            // One that is drained already has little left, and will have less.
            _ if report.draining => 0,
            ScaledWorkload::Gateway => report.connections.saturating_add(1),
            ScaledWorkload::Logic | ScaledWorkload::Task => report.slots.len() as u64 + 1,
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "saturates; never negative"
            )]
            ScaledWorkload::Repo => report.calls_in_flight as u64 + 1,
        });
        Self { name, pod, burden }
    }
}

/// What to write where `fewer` pods are to go: a cost, or that there is none any more. Pure.
fn choose(candidates: &[Candidate], fewer: usize) -> BTreeMap<&str, Option<i32>> {
    let mut ready: Vec<_> = candidates.iter().filter(|c| c.pod.ready && !c.pod.leaving).collect();
    let unready = candidates.iter().filter(|c| !c.pod.ready && !c.pod.leaving).count();
    ready.sort_by(|a, b| (a.burden, &a.name).cmp(&(b.burden, &b.name)));
    let chosen = fewer.saturating_sub(unready).min(ready.len()).min(MOST);
    let costs = (0..chosen).rev().map(|nth| -1 - i32::try_from(nth).unwrap_or(i32::MAX));
    let (go, stay) = ready.split_at(chosen);
    let go = go.iter().zip(costs).map(|(candidate, cost)| (*candidate, Some(cost)));
    // Those that were chosen once and stayed.
    let all = go.chain(stay.iter().map(|candidate| (*candidate, None)));
    all.filter(|(candidate, cost)| candidate.pod.cost != *cost)
        .map(|(candidate, cost)| (candidate.name.as_str(), cost))
        .collect()
}

/// Marks the pods that go. What can't be written costs a pod that takes more with it, and nothing else.
pub(super) async fn mark(client: &Client, key: &ClusterKey, candidates: &[Candidate], fewer: usize) {
    let api: Api<core::Pod> = Api::namespaced(client.clone(), &key.namespace);
    for (name, cost) in choose(candidates, fewer) {
        let cost = cost.map(|cost| cost.to_string());
        let patch = json!({ "metadata": { "annotations": { COST: cost } } });
        if let Err(error) = api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            tracing::debug!(cluster = %key, pod = name, %error, "its cost of deletion was not written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, workload: ScaledWorkload, report: Option<&LoadReport>) -> Candidate {
        let pod =
            Pod { uid: name.to_owned(), workload, address: None, ready: true, leaving: false, cost: None };
        Candidate::new(name.to_owned(), pod, report)
    }

    fn gateway(name: &str, connections: u64) -> Candidate {
        let report = LoadReport { connections, ..LoadReport::default() };
        candidate(name, ScaledWorkload::Gateway, Some(&report))
    }

    #[test]
    fn those_with_the_fewest_sockets_go_first() {
        let pods = [gateway("a", 900), gateway("b", 7), gateway("c", 80), gateway("d", 8_000)];
        assert_eq!(choose(&pods, 2), [("b", Some(-2)), ("c", Some(-1))].into());
        assert_eq!(choose(&pods, 0), [].into());
        assert_eq!(choose(&pods, 9).len(), 4);
    }

    #[test]
    fn one_that_drains_goes_before_one_that_is_idle() {
        let draining = LoadReport { draining: true, connections: 5, ..LoadReport::default() };
        let pods = [gateway("a", 0), candidate("b", ScaledWorkload::Gateway, Some(&draining))];
        assert_eq!(choose(&pods, 1), [("b", Some(-1))].into());
    }

    #[test]
    fn pods_that_are_not_ready_go_by_themselves() {
        let mut pods = [gateway("a", 900), gateway("b", 7), gateway("c", 80)];
        pods[0].pod.ready = false;
        assert_eq!(choose(&pods, 1), [].into());
        assert_eq!(choose(&pods, 2), [("b", Some(-1))].into());
    }

    #[test]
    fn one_that_was_chosen_and_stayed_is_no_candidate_for_ever() {
        let mut pods = [gateway("a", 900), gateway("b", 7), gateway("c", 80)];
        pods[0].pod.cost = Some(-1);
        assert_eq!(choose(&pods, 1), [("a", None), ("b", Some(-1))].into());
        pods[1].pod.cost = Some(-1);
        assert_eq!(choose(&pods, 1), [("a", None)].into(), "what is written already is not again");
    }

    #[test]
    fn logic_is_counted_by_slots() {
        let slots = |n: u32| LoadReport {
            slots: (0..n).map(|slot| gochat_proto::ops::SlotLoad { slot, ..Default::default() }).collect(),
            connections: 9 - u64::from(n),
            ..LoadReport::default()
        };
        let pod = |name, n| candidate(name, ScaledWorkload::Logic, Some(&slots(n)));
        assert_eq!(choose(&[pod("a", 3), pod("b", 2)], 1), [("b", Some(-1))].into());
    }
}
