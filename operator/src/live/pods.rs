//! What is read of a pod, and what that makes it as a member.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gochat_brain::planner::MemberPhase;
use gochat_crds::ScaledWorkload;
use k8s_openapi::api::core::v1 as core;

use super::victims::COST;
use super::watch::Kept;
use crate::cluster::ClusterKey;
use crate::names;

/// For so long a pod that is not ready stays a member in full: probes fail now and then, and a move costs more.
pub(super) const UNREADY_GRACE: Duration = Duration::from_secs(10);

/// One pod, as far as anybody here reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) uid: String,
    pub(super) workload: ScaledWorkload,
    /// Where it serves `ops.v1`; `None` before it has an address.
    pub(super) address: Option<SocketAddr>,
    pub(super) ready: bool,
    /// It was asked to go.
    pub(super) leaving: bool,
    /// What a ReplicaSet ranks it by, where that is said.
    pub(super) cost: Option<i32>,
}

/// A pod that has ended is as good as gone.
pub(super) fn keep(pod: core::Pod) -> Option<Kept<Pod>> {
    let cluster = ClusterKey::of_labels(&pod.metadata)?;
    let label = pod.metadata.labels.as_ref()?.get(names::WORKLOAD)?;
    let workload = ScaledWorkload::ALL.into_iter().find(|workload| workload.as_str() == label)?;
    let cost = pod.metadata.annotations.as_ref().and_then(|all| all.get(COST)?.parse().ok());
    let name = pod.metadata.name?;
    let status = pod.status.unwrap_or_default();
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return Some((cluster, name, None));
    }
    let ports = pod.spec.iter().flat_map(|spec| &spec.containers).flat_map(|c| c.ports.iter().flatten());
    let port =
        ports.filter(|port| port.name.as_deref() == Some(names::GRPC)).map(|port| port.container_port).next();
    let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(names::grpc_port(workload));
    let ip = status.pod_ip.and_then(|ip| ip.parse::<IpAddr>().ok());
    let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    let kept = Pod {
        uid: pod.metadata.uid.unwrap_or_default(),
        workload,
        address: ip.map(|ip| SocketAddr::new(ip, port)),
        ready,
        leaving: pod.metadata.deletion_timestamp.is_some(),
        cost,
    };
    Some((cluster, name, Some(kept)))
}

impl Pod {
    /// What it is as a member; `None` where it is none (yet). `reports`: a fresh report came; `draining`: and says so;
    /// `unready_for`: since it was last ready, where it ever was; `owns`: the map names it.
    pub(super) fn phase(
        &self,
        reports: bool,
        draining: bool,
        unready_for: Option<Duration>,
        owns: bool,
    ) -> Option<MemberPhase> {
        if !self.ready && !owns && unready_for.is_none() {
            return None;
        }
        // After a restart of the operator nobody knows since when it is not ready: then from now on.
        let absent = !self.ready && unready_for.unwrap_or_default() >= UNREADY_GRACE;
        Some(match (self.leaving || draining, absent, reports) {
            (_, true, false) => MemberPhase::Gone,
            (true, false, false) if !self.ready => MemberPhase::Gone,
            (true, ..) | (false, true, true) => MemberPhase::Draining,
            (false, false, _) => MemberPhase::Active,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(ready: &str) -> core::Pod {
        let pod = json!({
            "metadata": {
                "name": "chat-logic-1", "namespace": "a", "uid": "u",
                "labels": { "gochat.io/cluster": "chat", "gochat.io/workload": "logic" },
            },
            "spec": { "containers": [{ "name": "logic", "ports": [{ "name": "grpc", "containerPort": 7001 }] }] },
            "status": { "podIP": "10.0.0.7", "conditions": [{ "type": "Ready", "status": ready }] },
        });
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn a_pod_is_kept_as_the_address_it_serves_at() {
        let (cluster, name, kept) = keep(pod("True")).unwrap();
        assert_eq!((cluster.to_string().as_str(), name.as_str()), ("a/chat", "chat-logic-1"));
        let kept = kept.unwrap();
        assert_eq!(kept.address.unwrap().to_string(), "10.0.0.7:7001");
        assert!(kept.ready && !kept.leaving);
        let mut ended = pod("False");
        ended.status.as_mut().unwrap().phase = Some("Failed".into());
        assert_eq!(keep(ended).unwrap().2, None);
    }

    #[test]
    fn a_pod_becomes_a_member_when_ready_and_is_gone_only_when_nothing_is_heard_of_it() {
        let ready = keep(pod("True")).unwrap().2.unwrap();
        let unready = keep(pod("False")).unwrap().2.unwrap();
        let leaving = Pod { leaving: true, ..ready.clone() };
        let second = Some(Duration::from_secs(1));
        let minute = Some(Duration::from_secs(60));
        assert_eq!(unready.phase(false, false, None, false), None, "it starts");
        assert_eq!(ready.phase(false, false, None, false), Some(MemberPhase::Active));
        assert_eq!(unready.phase(true, false, second, true), Some(MemberPhase::Active), "a probe failed");
        assert_eq!(unready.phase(true, false, minute, true), Some(MemberPhase::Draining));
        assert_eq!(unready.phase(false, false, minute, true), Some(MemberPhase::Gone));
        assert_eq!(ready.phase(true, true, None, true), Some(MemberPhase::Draining), "it says so");
        assert_eq!(leaving.phase(false, false, None, true), Some(MemberPhase::Draining));
        let dead = Pod { leaving: true, ..unready };
        assert_eq!(dead.phase(false, false, second, true), Some(MemberPhase::Gone));
        assert_eq!(dead.phase(true, false, second, true), Some(MemberPhase::Draining));
    }
}
