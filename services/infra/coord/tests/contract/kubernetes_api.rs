//! What is the Kubernetes API's own: the requests it costs, the rights it needs, and who buries the dead.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use futures::future::join_all;
use gochat_coord::{Coord, CoordConfig, CoordError, KubernetesConfig};
use gochat_core::{SlotCount, Workload};
use gochat_engines::{Kubernetes, Request};

use super::harness::{PATIENCE, acquire_all, apply, member, shared_kubernetes, until, until_members};

const SLOTS: u32 = 64;

/// Until one process does the burying.
async fn until_reaper(coord: &Coord) {
    let mut reaper = coord.watch("reaper");
    until("a reaper", reaper.wait_for(Option::is_some)).await.unwrap();
}

/// The requests about one cluster's objects since then.
fn requests(kubernetes: &Kubernetes, cluster: &str, since: SystemTime) -> Vec<Request> {
    // By the name that is in the path or selected, or by the label that is selected.
    let (object, placement) = (format!("{cluster}."), format!("{cluster}-gateway"));
    let label = format!("cluster%3D{cluster}%2C");
    let of_cluster = |r: &Request| {
        let name = r.name.as_deref().unwrap_or_default();
        name.starts_with(&object) || name == placement || r.uri.contains(&label)
    };
    let mut found = kubernetes.requests().unwrap();
    found.retain(|r| r.at >= since && of_cluster(r));
    found
}

/// Which are as many with 64 slots as without.
#[tokio::test]
async fn a_member_at_rest_asks_for_its_renewals_and_nothing_else() {
    let test = "a_member_at_rest_asks_for_its_renewals_and_nothing_else";
    let Some((kubernetes, backend)) = shared_kubernetes(test).await else { return };
    let reaper = backend.another_process().await;
    let coord = backend.another_process().await;
    let mut members = reaper.members(Workload::Gateway);
    let _member = coord.join(member("a")).await.unwrap();
    let mut ownership = coord.ownership(Workload::Gateway, SlotCount::new(SLOTS).unwrap(), "a".into());
    acquire_all(&mut ownership, &(0..SLOTS).collect::<Vec<_>>()).await;
    until_members(&mut members, &["a"]).await;

    // The last that is begun: one of the two watches all sessions, the other that one's.
    let watched = |what: &str| {
        let asked = requests(kubernetes, backend.cluster(), SystemTime::UNIX_EPOCH);
        asked.iter().any(|r| r.verb == "watch" && r.uri.contains(what))
    };
    until("all is begun", async {
        while !watched("folder%3Dsessions") || !watched(".sessions.") {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;

    let (rest, since) = (Duration::from_secs(12), SystemTime::now());
    tokio::time::sleep(rest).await;
    let asked = requests(kubernetes, backend.cluster(), since);
    println!("two processes at rest for {rest:?}: {} requests", asked.len());
    assert!(asked.iter().all(|r| r.verb == "patch"), "{asked:#?}");
    // Each of the two renews every 0.27 to 0.33 TTL.
    let most = 2.0 * (rest.as_secs_f64() + 0.5) / (backend.ttl().as_secs_f64() * 4.0 / 15.0);
    assert!((asked.len() as f64) < most, "{} requests, at most {most}", asked.len());
}

#[tokio::test]
async fn the_death_of_the_one_that_buries_is_noticed_by_the_others() {
    let test = "the_death_of_the_one_that_buries_is_noticed_by_the_others";
    let Some((_, backend)) = shared_kubernetes(test).await else { return };
    let reaper = backend.another_process().await;
    let _first = reaper.join(member("reaper")).await.unwrap();
    until_reaper(&reaper).await;
    let (a, b) = (backend.another_process().await, backend.another_process().await);
    let _a = a.join(member("a")).await.unwrap();
    let _b = b.join(member("b")).await.unwrap();
    let mut members = a.members(Workload::Gateway);
    until_members(&mut members, &["a", "b", "reaper"]).await;

    reaper.abandon().await;
    until_members(&mut members, &["a", "b"]).await;
    // And there is one again.
    b.abandon().await;
    until_members(&mut members, &["a"]).await;
}

#[tokio::test]
async fn a_claim_under_a_session_that_is_not_there_is_free() {
    let test = "a_claim_under_a_session_that_is_not_there_is_free";
    let Some((kubernetes, backend)) = shared_kubernetes(test).await else { return };
    let cluster = backend.cluster();
    // As it would be left by one that was paused in the middle of a claim, without an owner, so that no garbage
    // collector has a part in this.
    apply(
        kubernetes,
        &format!(
            "{{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {{name: {cluster}.leader, namespace: chats, \
             labels: {{gochat.io/cluster: {cluster}, gochat.io/key-folder: '', gochat.io/session: 00000000000000ff}}, \
             annotations: {{gochat.io/key: leader, gochat.io/value: gone}}}}, spec: {{holderIdentity: gone}}}}"
        ),
    );
    let coord = backend.another_process().await;
    let _claim = coord.claim("leader", "a", Duration::ZERO).await.unwrap();
    assert_eq!(coord.get("leader").await.unwrap().as_deref(), Some(&b"a"[..]));
    let other = backend.another_process().await;
    assert!(matches!(other.claim("leader", "b", Duration::ZERO).await, Err(CoordError::Held { .. })));
}

#[tokio::test]
async fn a_session_that_is_deleted_by_hand_takes_its_keys_along() {
    let test = "a_session_that_is_deleted_by_hand_takes_its_keys_along";
    let Some((kubernetes, backend)) = shared_kubernetes(test).await else { return };
    let (dying, observer) = (backend.another_process().await, backend.another_process().await);
    let _member = dying.join(member("dying")).await.unwrap();
    let _claim = dying.claim("leader", "dying", PATIENCE).await.unwrap();
    until_members(&mut observer.members(Workload::Gateway), &["dying"]).await;
    // Nobody but the garbage collector knows then whose they were.
    dying.abandon().await;
    let leader = format!("{}.leader", backend.cluster());
    let owner = "jsonpath={.metadata.ownerReferences[0].name}";
    let mut kubectl = kubernetes.kubectl();
    let session = kubectl.args(["-n", "chats", "get", "lease", &leader, "-o", owner]).output().unwrap();
    let session = String::from_utf8(session.stdout).unwrap();
    let delete = ["-n", "chats", "delete", "lease", &session, "--wait=false"];
    assert!(kubernetes.kubectl().args(delete).status().unwrap().success());
    until_members(&mut observer.members(Workload::Gateway), &[]).await;
    let mut view = observer.watch("leader");
    until("the claim goes", view.wait_for(Option::is_none)).await.unwrap();
}

#[tokio::test]
async fn one_of_many_processes_holds_a_claim_at_a_time() {
    let test = "one_of_many_processes_holds_a_claim_at_a_time";
    let Some((_, backend)) = shared_kubernetes(test).await else { return };
    let held = Arc::new(AtomicBool::new(false));
    let rivals = (0..4).map(|n| {
        let (backend, held) = (backend.clone(), Arc::clone(&held));
        async move {
            let coord = backend.another_process().await;
            for round in 0..5 {
                let claim = until("claim", coord.claim("leader", &n.to_string(), PATIENCE)).await.unwrap();
                assert!(!held.swap(true, Ordering::SeqCst), "held by two in round {round} of {n}");
                tokio::task::yield_now().await;
                held.store(false, Ordering::SeqCst);
                claim.release().await;
            }
        }
    });
    join_all(rivals).await;
}

#[tokio::test]
async fn a_pod_uses_each_right_of_its_role_and_no_other() {
    let test = "a_pod_uses_each_right_of_its_role_and_no_other";
    let Some((kubernetes, backend)) = shared_kubernetes(test).await else { return };
    let pod = backend.another_process().await;
    let _member = pod.join(member("a")).await.unwrap();
    let mut ownership = pod.ownership(Workload::Gateway, SlotCount::new(1).unwrap(), "a".into());
    acquire_all(&mut ownership, &[0]).await;
    let claim = pod.claim("leader", "a", PATIENCE).await.unwrap();
    let other = pod.session();
    assert!(other.claim("leader", "b", Duration::ZERO).await.is_err());
    claim.release().await;
    let _claim = other.claim("leader", "b", PATIENCE).await.unwrap();
    let mut view = pod.watch("leader");
    until("held", view.wait_for(Option::is_some)).await.unwrap();
    until_reaper(&pod).await;
    other.expire().await;
    until("given up", view.wait_for(Option::is_none)).await.unwrap();

    let leases = ["create", "delete", "get", "list", "patch", "watch"].map(|v| ("leases", v));
    let placements = ["list", "watch"].map(|verb| ("gochatplacements", verb));
    let rights: BTreeSet<(&str, &str)> = leases.into_iter().chain(placements).collect();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let mut asked = requests(kubernetes, backend.cluster(), SystemTime::UNIX_EPOCH);
        asked.retain(|r| r.user == "system:serviceaccount:chats:chat");
        let used: BTreeSet<_> = asked.iter().map(|r| (r.resource.as_str(), r.verb.as_str())).collect();
        // A request is in the log a moment after its answer.
        if used.is_superset(&rights) || tokio::time::Instant::now() >= deadline {
            assert_eq!(used, rights);
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn settings_that_can_not_be_right_are_refused() {
    let kubernetes = |cluster: &str| KubernetesConfig {
        enabled: true,
        cluster: cluster.into(),
        kubeconfig: "/nowhere/kubeconfig".into(),
        ..KubernetesConfig::default()
    };
    let refusal = async |config: CoordConfig| Coord::connect(&config).await.err().unwrap().to_string();
    let both = CoordConfig {
        etcd: vec!["http://etcd:2379".into()],
        kubernetes: kubernetes("chat"),
        ..CoordConfig::default()
    };
    assert!(refusal(both).await.contains("leave one of them out"));
    for cluster in ["", "Chat", "my.chat", "-chat"] {
        let config = CoordConfig { kubernetes: kubernetes(cluster), ..CoordConfig::default() };
        let text = refusal(config).await;
        assert!(text.contains("must be a lower-case DNS label"), "{text}");
    }
    let config = CoordConfig { kubernetes: kubernetes("chat"), ..CoordConfig::default() };
    let text = refusal(config).await;
    assert!(text.contains("/nowhere/kubeconfig"), "{text}");
}
