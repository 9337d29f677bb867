//! What an operator costs that looks after many clusters: `scripts/bench-operator.sh`.
//!
//! A real API server without controllers (nobody makes pods: that is the cluster's cost, not the operator's), the operator as a
//! process of its own, and this program, which plays the author of the clusters and the Deployments' controller.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt as _;
use gochat_crds::GoChatCluster;
use gochat_engines::{Engine, Kubernetes, KubernetesOptions, Request};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt as _};
use parking_lot::Mutex;
use serde_json::json;
use support::{NOBODY, sample};
use tokio::process::{Child, Command};

const NAMESPACES: usize = 10;
const WORKLOADS: usize = 4;
/// Clusters that are made one after another, beside all the others.
const SINGLE: usize = 100;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(bench());
}

async fn bench() {
    if gochat_engines::missing("operator bench", &[Engine::Kubernetes]) {
        return;
    }
    let number =
        |name: &str, default: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let clusters = usize::try_from(number("CLUSTERS", 1_000)).unwrap();
    let steady = Duration::from_secs(number("STEADY_SECONDS", 120));
    let options = KubernetesOptions { controllers: false, audit: true };
    let kubernetes = Kubernetes::start_with(options).await.unwrap();
    support::install(&kubernetes).await;
    let client = support::test_client(&kubernetes).await;
    prepare(&client).await;
    let seen = Arc::new(Seen::default());
    let watching = tokio::spawn(observe(client.clone(), Arc::clone(&seen)));
    let playing = tokio::spawn(play(client.clone()));
    let mut operator = start(&kubernetes);
    let pid = operator.id().unwrap();

    let begun = Instant::now();
    let made: Vec<_> = (0..clusters).map(|n| make(&client, n)).collect();
    futures::stream::iter(made).buffer_unordered(8).collect::<Vec<_>>().await;
    let applied = begun.elapsed();
    until(|| seen.complete() >= clusters).await;
    let converged = begun.elapsed();
    quiet(&kubernetes).await;

    let before = Picture::of(&kubernetes, pid).await;
    tokio::time::sleep(steady).await;
    let after = Picture::of(&kubernetes, pid).await;
    let minutes = steady.as_secs_f64() / 60.0;

    let mut latencies = Vec::new();
    for n in clusters..clusters + SINGLE {
        let asked = Instant::now();
        let key = make(&client, n).await;
        until(|| seen.completed(&key).is_some()).await;
        latencies.push(seen.completed(&key).unwrap().duration_since(asked));
    }
    latencies.sort();
    let (restarted, anew) = restart(&kubernetes, &mut operator).await;
    watching.abort();
    playing.abort();

    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    println!("| what | measured |\n| --- | --- |");
    println!("| clusters, objects of theirs | {clusters}, {} |", after.objects);
    println!("| all applied in, all Deployments there after | {applied:.1?}, {converged:.1?} |");
    println!(
        "| RSS, its peak; of that the binary and its libraries | {} MiB, {} MiB; {} MiB |",
        after.rss / 1024,
        after.peak / 1024,
        after.binary / 1024
    );
    println!("| writes in {} s of a steady state | {} |", steady.as_secs(), after.writes - before.writes);
    println!(
        "| reads (get, list, begun watches) a minute | {:.1} |",
        (after.reads - before.reads) as f64 / minutes
    );
    println!("| bytes of watches and lists a minute | {:.0} |", (after.bytes - before.bytes) / minutes);
    println!("| CPU a minute | {:.2} s |", (after.cpu - before.cpu) / minutes);
    println!("| apply → all Deployments, p50, p99, of {SINGLE} | {:.0?}, {:.0?} |", at(50), at(99));
    println!(
        "| writes of an operator that was started again, its RSS, its peak | {restarted}, {} MiB, {} MiB |",
        anew.0, anew.1
    );
}

async fn prepare(client: &Client) {
    let api: Api<Namespace> = Api::all(client.clone());
    for n in 0..NAMESPACES {
        let namespace = serde_json::from_value(json!({ "metadata": { "name": namespace(n) } })).unwrap();
        api.create(&PostParams::default(), &namespace).await.unwrap();
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &self::namespace(n));
        for name in ["mysql", "redis"] {
            let secret =
                json!({ "metadata": { "name": name }, "stringData": { "url": "redis://redis:6379" } });
            secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
        }
    }
}

fn namespace(n: usize) -> String {
    format!("bench-{}", n % NAMESPACES)
}

/// Applies a small cluster.
async fn make(client: &Client, n: usize) -> String {
    let name = format!("chat-{n}");
    let mut value = sample(&name, NOBODY);
    value["spec"]["mysql"]["secret"]["name"] = "mysql".into();
    value["spec"]["redis"]["secret"]["name"] = "redis".into();
    let api: Api<GoChatCluster> = Api::namespaced(client.clone(), &namespace(n));
    api.patch(&name, &PatchParams::apply("author"), &Patch::Apply(&value)).await.unwrap();
    name
}

/// When each cluster had all its Deployments.
#[derive(Default)]
struct Seen {
    counts: Mutex<HashMap<String, (usize, Option<Instant>)>>,
}

impl Seen {
    fn complete(&self) -> usize {
        self.counts.lock().values().filter(|(_, at)| at.is_some()).count()
    }

    fn completed(&self, cluster: &str) -> Option<Instant> {
        self.counts.lock().get(cluster).and_then(|(_, at)| *at)
    }
}

async fn observe(client: Client, seen: Arc<Seen>) {
    let api: Api<Deployment> = Api::all(client);
    let mut events = watcher(api, watcher::Config::default()).applied_objects().boxed();
    let mut known = std::collections::HashSet::new();
    while let Some(event) = events.next().await {
        let Ok(deployment) = event else { continue };
        if !known.insert(deployment.uid()) {
            continue;
        }
        let cluster = deployment.labels()["gochat.io/cluster"].clone();
        let mut counts = seen.counts.lock();
        let (count, at) = counts.entry(cluster).or_default();
        *count += 1;
        if *count == WORKLOADS {
            *at = Some(Instant::now());
        }
    }
}

/// Says of each Deployment that all its pods are there.
async fn play(client: Client) {
    let api: Api<Deployment> = Api::all(client.clone());
    let mut events = watcher(api, watcher::Config::default()).applied_objects().boxed();
    while let Some(event) = events.next().await {
        let Ok(deployment) = event else { continue };
        let generation = deployment.metadata.generation;
        if deployment.status.as_ref().and_then(|status| status.observed_generation) == generation {
            continue;
        }
        let n = deployment.spec.as_ref().unwrap().replicas.unwrap_or(1);
        let status = json!({ "status": {
            "observedGeneration": generation, "replicas": n, "updatedReplicas": n, "readyReplicas": n, "availableReplicas": n,
            "conditions": [{ "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable" }],
        } });
        let api: Api<Deployment> = Api::namespaced(client.clone(), &deployment.namespace().unwrap());
        let _ =
            api.patch_status(&deployment.name_any(), &PatchParams::default(), &Patch::Merge(&status)).await;
    }
}

fn start(kubernetes: &Kubernetes) -> Child {
    Command::new(env!("CARGO_BIN_EXE_gochat-operator"))
        .args(["run", "--set", "leader.namespace=default", "--set", "leader.identity=bench"])
        .args(["--set", "admin.listen=127.0.0.1:0", "--set", "telemetry.filter=warn"])
        .args(["--set", &format!("kubeconfig={}", kubernetes.kubeconfig().display())])
        .stderr(if std::env::var_os("OPERATOR_LOG").is_some() { Stdio::inherit() } else { Stdio::null() })
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Writes of an operator that begins anew, in a minute, and its memory then with the peak, in MiB.
async fn restart(kubernetes: &Kubernetes, operator: &mut Child) -> (usize, (u64, u64)) {
    quiet(kubernetes).await;
    operator.kill().await.unwrap();
    let begun = SystemTime::now();
    *operator = start(kubernetes);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let writes = requests(kubernetes).iter().filter(|r| r.at >= begun && r.is_write()).count();
    let pid = operator.id().unwrap();
    (writes, (memory(pid, "VmRSS") / 1024, memory(pid, "VmHWM") / 1024))
}

/// A field of a process's status, in KiB.
fn memory(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn requests(kubernetes: &Kubernetes) -> Vec<Request> {
    let all = kubernetes.requests().unwrap().into_iter();
    all.filter(|r| r.user_agent.starts_with("gochat-operator/") && r.resource != "leases").collect()
}

async fn quiet(kubernetes: &Kubernetes) {
    let mut last = usize::MAX;
    loop {
        let writes = requests(kubernetes).iter().filter(|r| r.is_write()).count();
        if writes == last {
            return;
        }
        last = writes;
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
}

async fn until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(1_800), "not in half an hour");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

struct Picture {
    writes: usize,
    reads: usize,
    /// Of lists and watches, as the API server counts them: nobody else is there.
    bytes: f64,
    /// In KiB.
    rss: u64,
    peak: u64,
    /// Of `rss`, what is mapped from files.
    binary: u64,
    /// Seconds.
    cpu: f64,
    objects: usize,
}

impl Picture {
    async fn of(kubernetes: &Kubernetes, pid: u32) -> Self {
        let requests = requests(kubernetes);
        let writes = requests.iter().filter(|r| r.is_write()).count();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: f64 = [11, 12].map(|n: usize| fields[n].parse::<f64>().unwrap()).iter().sum();
        let client = support::test_client(kubernetes).await;
        let deployments: Api<Deployment> = Api::all(client);
        let one = deployments.list_metadata(&ListParams::default().limit(1)).await.unwrap();
        let all = one.items.len() + usize::try_from(one.metadata.remaining_item_count.unwrap_or(0)).unwrap();
        let created = requests.iter().filter(|r| r.verb == "patch" && r.code == 201).count();
        assert!(all <= created);
        Self {
            writes,
            reads: requests.len() - writes,
            bytes: bytes(kubernetes).await,
            rss: memory(pid, "VmRSS"),
            peak: memory(pid, "VmHWM"),
            binary: memory(pid, "RssFile"),
            cpu: ticks / 100.0,
            objects: created,
        }
    }
}

async fn bytes(kubernetes: &Kubernetes) -> f64 {
    let mut kubectl = Command::from(kubernetes.kubectl());
    let output = kubectl.args(["get", "--raw", "/metrics"]).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let ours = |line: &&str| {
        line.starts_with("apiserver_watch_events_sizes_sum")
            || (line.starts_with("apiserver_response_sizes_sum") && line.contains("verb=\"LIST\""))
    };
    text.lines().filter(ours).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}
