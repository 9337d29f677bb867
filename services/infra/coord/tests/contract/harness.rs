//! What the suite starts with, and how it waits.

use std::future::Future;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gochat_coord::{Change, Coord, CoordConfig, KubernetesConfig, Member, Ownership};
use gochat_core::Workload;
use gochat_engines::{Engine, Etcd, Kubernetes};
use tokio::sync::{OnceCell, watch};

/// Far above what anything here takes; a test that fails ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a pod may do, and what only those may who publish placements.
const RBAC: &str = include_str!("rbac.yaml");

fn config(lease_ttl: Duration) -> CoordConfig {
    CoordConfig { lease_ttl, handover_timeout: Duration::from_secs(3), ..CoordConfig::default() }
}

pub(crate) async fn in_process() -> Coord {
    Coord::connect(&config(Duration::from_secs(1))).await.unwrap()
}

/// A backend that other processes reach too.
#[derive(Clone)]
pub(crate) struct Backend {
    config: CoordConfig,
    engine: Running,
}

#[derive(Clone)]
enum Running {
    Etcd(Arc<Etcd>),
    Kubernetes(Arc<Kubernetes>),
    /// One that others use too.
    Shared,
}

impl Backend {
    /// What a process of its own would have: its own connection and views.
    pub(crate) async fn another_process(&self) -> Coord {
        Coord::connect(&self.config).await.unwrap()
    }

    pub(crate) fn ttl(&self) -> Duration {
        self.config.lease_ttl
    }

    pub(crate) fn cluster(&self) -> &str {
        &self.config.kubernetes.cluster
    }

    pub(crate) fn kill(&self) {
        match &self.engine {
            Running::Etcd(etcd) => etcd.kill().unwrap(),
            Running::Kubernetes(kubernetes) => kubernetes.kill_api_server().unwrap(),
            Running::Shared => panic!("others use it"),
        }
    }

    pub(crate) async fn restart(&self) {
        match &self.engine {
            Running::Etcd(etcd) => drop(etcd.restart().await.unwrap()),
            Running::Kubernetes(kubernetes) => drop(kubernetes.restart_api_server().await.unwrap()),
            Running::Shared => panic!("others use it"),
        }
    }
}

/// An etcd of this test's own, since some kill it; `None` where this machine has none.
pub(crate) async fn etcd(test: &str) -> Option<Backend> {
    if gochat_engines::missing(test, &[Engine::Etcd]) {
        return None;
    }
    let etcd = Etcd::start().await.unwrap();
    let config = CoordConfig { etcd: vec![etcd.url()], ..config(Duration::from_secs(1)) };
    Some(Backend { config, engine: Running::Etcd(Arc::new(etcd)) })
}

/// An API server of this test's own, since it is killed.
pub(crate) async fn kubernetes(test: &str) -> Option<Backend> {
    if gochat_engines::missing(test, &[Engine::Kubernetes]) {
        return None;
    }
    let kubernetes = Kubernetes::start().await.unwrap();
    let kubeconfig = prepare(&kubernetes);
    Some(Backend { config: in_pods(kubeconfig, "chat"), engine: Running::Kubernetes(Arc::new(kubernetes)) })
}

/// A cluster of this test's own on the API server that all tests share.
pub(crate) async fn shared_kubernetes(test: &str) -> Option<(&'static Kubernetes, Backend)> {
    static KUBECONFIG: OnceCell<PathBuf> = OnceCell::const_new();
    static CLUSTERS: AtomicU32 = AtomicU32::new(1);
    if gochat_engines::missing(test, &[Engine::Kubernetes]) {
        return None;
    }
    let kubernetes = Kubernetes::shared().await.unwrap();
    let kubeconfig = KUBECONFIG.get_or_init(|| async { prepare(kubernetes) }).await;
    let cluster = format!("chat-{}", CLUSTERS.fetch_add(1, Ordering::Relaxed));
    Some((kubernetes, Backend { config: in_pods(kubeconfig.clone(), &cluster), engine: Running::Shared }))
}

fn in_pods(kubeconfig: PathBuf, cluster: &str) -> CoordConfig {
    let kubernetes =
        KubernetesConfig { enabled: true, cluster: cluster.into(), namespace: "chats".into(), kubeconfig };
    CoordConfig { kubernetes, ..config(Duration::from_secs(2)) }
}

/// The operator's resources, and a ServiceAccount that may do what is written down.
fn prepare(kubernetes: &Kubernetes) -> PathBuf {
    for definition in gochat_crds::definitions() {
        apply(kubernetes, &serde_json::to_string(&definition).unwrap());
    }
    let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"];
    assert!(kubernetes.kubectl().args(established).stdout(Stdio::null()).status().unwrap().success());
    apply(kubernetes, RBAC);
    kubernetes.kubeconfig_for("chats", "chat").unwrap()
}

pub(crate) fn apply(kubernetes: &Kubernetes, manifest: &str) {
    let mut kubectl = kubernetes.kubectl();
    kubectl.args(["apply", "--server-side", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = kubectl.spawn().unwrap();
    child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{manifest}");
}

pub(crate) fn member(id: &str) -> Member {
    Member {
        id: id.into(),
        workload: Workload::Gateway,
        address: format!("http://{id}:9003"),
        draining: false,
    }
}

pub(crate) fn ids(members: &[Member]) -> Vec<&str> {
    members.iter().map(|m| m.id.as_str()).collect()
}

pub(crate) async fn until<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

pub(crate) async fn until_members(members: &mut watch::Receiver<Arc<Vec<Member>>>, expected: &[&str]) {
    let seen = tokio::time::timeout(PATIENCE, members.wait_for(|now| ids(now) == expected)).await.is_ok();
    assert!(seen, "expected {expected:?}, members are {:?}", ids(&members.borrow()));
}

pub(crate) async fn acquire_all(ownership: &mut Ownership, slots: &[u32]) {
    let mut got = Vec::new();
    while got.len() < slots.len() {
        match until("an Acquire", ownership.next()).await {
            Change::Acquire(slot, _) => got.push(slot.0),
            Change::Release(slot, _) => panic!("slot {slot} is released"),
        }
    }
    got.sort_unstable();
    assert_eq!(got, slots);
}
