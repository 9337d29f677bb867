//! The operator as a process, killed (SIGKILL) at random points of version changes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use gochat_operator::names;
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use parking_lot::Mutex;
use rand::RngExt as _;
use support::kubelet::Kubelet;
use support::{NOBODY, World, eventually};
use tokio::process::{Child, Command};

const VERSIONS: u32 = 10;
const KILLS: u32 = 50;
const WORKLOADS: usize = 4;

fn start(world: &World) -> Child {
    let kubeconfig = world.kubernetes.kubeconfig().display().to_string();
    Command::new(env!("CARGO_BIN_EXE_gochat-operator"))
        .args(["run", "--namespaces", &world.namespace])
        .args(["--set", "leader.enabled=false", "--set", "admin.listen=127.0.0.1:0"])
        .args(["--set", &format!("kubeconfig={kubeconfig}")])
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// How a Deployment is, as `kubectl rollout status` judges it.
fn is_changing(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().unwrap().replicas.unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    let count = |n: Option<i32>| n.unwrap_or_default();
    status.observed_generation < deployment.metadata.generation
        || count(status.updated_replicas) < wanted
        || count(status.replicas) > count(status.updated_replicas)
        || count(status.available_replicas) < count(status.updated_replicas)
}

fn version(deployment: &Deployment) -> String {
    let meta = deployment.spec.as_ref().unwrap().template.metadata.clone().unwrap_or_default();
    meta.annotations.unwrap_or_default().remove(names::VERSION).unwrap_or_default()
}

/// Sees every state of every Deployment, and notes where two were in the middle of a change at once.
async fn observe(world: &World, seen: Arc<Mutex<Seen>>) {
    let mut events = watcher(world.api::<Deployment>(), watcher::Config::default()).applied_objects().boxed();
    while let Some(Ok(deployment)) = events.next().await {
        let mut seen = seen.lock();
        let changing = is_changing(&deployment);
        let version = version(&deployment);
        seen.deployments.insert(deployment.name_any(), (version, changing));
        let both: Vec<_> = seen.deployments.iter().filter(|(_, (_, c))| *c).map(|(n, _)| n.clone()).collect();
        if seen.deployments.len() == WORKLOADS && seen.settled && both.len() > 1 {
            seen.broken.push(both);
        }
    }
}

#[derive(Default)]
struct Seen {
    deployments: BTreeMap<String, (String, bool)>,
    /// The cluster was made, and all were ready once.
    settled: bool,
    broken: Vec<Vec<String>>,
}

impl Seen {
    fn all_run(&self, version: &str) -> bool {
        self.deployments.len() == WORKLOADS
            && self.deployments.values().all(|(v, changing)| v == version && !changing)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_killed_anywhere_finishes_a_version_change_one_step_at_a_time() {
    let Some(world) = World::new("killed-anywhere").await else { return };
    let _kubelet = Kubelet::start(world.client.clone(), &world.namespace);
    world.stores("sample").await;
    let change = |version: String| {
        move |value: &mut serde_json::Value| {
            value["spec"]["version"] = version.into();
            for workload in ["gateway", "logic", "repo", "task"] {
                value["spec"][workload]["replicas"] = 1.into();
            }
        }
    };
    world.apply("sample", NOBODY, change("0".to_owned())).await;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut operator = start(&world);
    let look = async {
        until(&seen, "0").await;
        seen.lock().settled = true;
        let (mut version, mut kills) = (0, 0);
        for _ in 0..VERSIONS {
            version += 1;
            world.apply("sample", NOBODY, change(version.to_string())).await;
            for _ in 0..KILLS / VERSIONS {
                loop {
                    let after = Duration::from_millis(rand::rng().random_range(0..1_500));
                    tokio::time::sleep(after).await;
                    if !seen.lock().all_run(&version.to_string()) {
                        break;
                    }
                    // It was over before the kill: another one, so that each kill is in the middle of a change.
                    version += 1;
                    world.apply("sample", NOBODY, change(version.to_string())).await;
                }
                operator.kill().await.unwrap();
                kills += 1;
                operator = start(&world);
            }
            until(&seen, &version.to_string()).await;
        }
        assert_eq!(kills, KILLS);
    };
    tokio::select! {
        () = look => {}
        () = observe(&world, Arc::clone(&seen)) => panic!("the watch ended"),
    }
    assert_eq!(seen.lock().broken, Vec::<Vec<String>>::new(), "two workloads were changing at once");
}

async fn until(seen: &Mutex<Seen>, version: &str) {
    eventually(&format!("all run {version}"), || async {
        let seen = seen.lock();
        if seen.all_run(version) { Ok(()) } else { Err(seen.deployments.clone()) }
    })
    .await;
}
