//! Every query of the dashboards and the alerts finds data in a real Prometheus that scrapes real processes: services under
//! load, and an operator with a cluster to look after.
#![allow(clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use gochat_e2e::{Cluster, Load, Size, artifacts};
use gochat_engines::{Engine, Kubernetes, KubernetesOptions, Process, free_port, missing, skip_loudly};
use serde_json::{Value, json};

const TEST: &str = "each_query_of_dashboards_and_alerts_finds_data";
const WITHIN: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn each_query_of_dashboards_and_alerts_finds_data() -> Result<()> {
    if missing(TEST, &Engine::ALL) || missing(TEST, &[Engine::Kubernetes]) {
        return Ok(());
    }
    if Command::new("prometheus")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_err()
    {
        skip_loudly(TEST, "prometheus is not installed (run e2e/engines/install.sh surroundings)");
        return Ok(());
    }
    // Small groups go through task too, and its counters are read at once.
    let settings =
        json!({ "logic": { "fanout_threshold": 4 }, "task": { "jobs": { "counters_every": "1s" } } });
    let cluster = Cluster::start_with("observability", Size::default(), &settings).await?;
    let folder = artifacts("observability-prometheus");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let options = KubernetesOptions { controllers: false, audit: false };
    let kubernetes = Kubernetes::start_with(options).await?;
    let operator_port = free_port()?;
    let _operator = operator(&kubernetes, &cluster, &folder, operator_port)?;
    let prometheus = Prometheus::start(&cluster, &folder, operator_port)?;

    // One whose connections end, and one that goes on until all is seen.
    let load = ["--pairs", "10", "--groups", "20x2", "--rate", "100"];
    let first = Load::start(&cluster, "first", &[&load[..], &["--duration", "2s"]].concat()).await?;
    first.report(Duration::from_mins(1)).await?.ensure_clean()?;
    let _second = Load::start(&cluster, "second", &[&load[..], &["--duration", "120s"]].concat()).await?;

    let mut left = queries()?;
    ensure!(left.len() > 60, "only {} queries", left.len());
    let begun = Instant::now();
    while !left.is_empty() {
        let mut without = BTreeMap::new();
        for (query, place) in left {
            if let Err(why) = prometheus.finds(&query).await {
                without.insert(query, format!("{place} ({why:#})"));
            }
        }
        if begun.elapsed() > WITHIN {
            bail!("{} queries find nothing: {without:#?}", without.len());
        }
        left = without
            .into_iter()
            .map(|(query, place)| (query, place.split(" (").next().unwrap_or_default().to_owned()))
            .collect();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

#[test]
fn each_alert_has_a_runbook_that_says_what_it_means_where_to_look_and_what_to_do() -> Result<()> {
    let alerts = fs::read_to_string(root().join("observability/alerts.yaml"))?;
    let runbooks = fs::read_to_string(root().join("docs/runbooks.md"))?;
    let names: Vec<_> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    ensure!(names.len() > 10, "{names:?}");
    for name in &names {
        let link = format!("runbook_url: docs/runbooks.md#{}\n", name.to_lowercase());
        ensure!(alerts.contains(&link), "{name} does not link to its runbook");
        let (_, section) =
            runbooks.split_once(&format!("## {name}\n")).with_context(|| format!("no runbook of {name}"))?;
        let section = section.split("\n## ").next().unwrap_or_default();
        for part in ["**Means:**", "**Look:**", "**Do:**"] {
            ensure!(section.contains(part), "{name}: no {part}");
        }
    }
    ensure!(runbooks.matches("\n## ").count() == names.len(), "a runbook of no alert");
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All queries, as Grafana would send them, and where each is.
fn queries() -> Result<BTreeMap<String, String>> {
    let mut queries = BTreeMap::new();
    for entry in fs::read_dir(root().join("observability/dashboards"))? {
        let path = entry?.path();
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        for panel in dashboard["panels"].as_array().context("panels")? {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let query = target["expr"].as_str().context("expr")?;
                let query = query
                    .replace("$__rate_interval", "10s")
                    .replace("$namespace", ".*")
                    .replace("$cluster", ".*");
                queries.insert(query, format!("{} {}", path.display(), panel["title"]));
            }
        }
    }
    let alerts = fs::read_to_string(root().join("observability/alerts.yaml"))?;
    for query in alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")) {
        // An alert has no data while all is well: what it compares has.
        for part in query.split(" or ") {
            let measured =
                part.rsplit_once(" > ").or_else(|| part.rsplit_once(" < ")).map_or(part, |(left, _)| left);
            let measured =
                measured.strip_prefix("absent(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(measured);
            queries.insert(measured.to_owned(), format!("alerts.yaml: {part}"));
        }
    }
    Ok(queries)
}

/// An operator that has a cluster with the same Kafka to look after.
fn operator(kubernetes: &Kubernetes, cluster: &Cluster, folder: &Path, port: u16) -> Result<Process> {
    for entry in fs::read_dir(root().join("crds/yaml"))? {
        kubernetes.apply(&fs::read_to_string(entry?.path())?)?;
    }
    let mut wait = kubernetes.kubectl();
    wait.args(["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]).stdout(Stdio::null());
    ensure!(wait.status()?.success(), "the definitions are not established");
    let secret = |name: &str, url: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": "default" },
            "stringData": { "url": url },
        })
    };
    kubernetes.apply(&secret("chat-mysql", "mysql://a:b@mysql:3306/chat").to_string())?;
    kubernetes.apply(&secret("chat-redis", "redis://redis:6379").to_string())?;
    let chat = json!({
        "apiVersion": "gochat.io/v1alpha1", "kind": "GoChatCluster", "metadata": { "name": "chat", "namespace": "default" },
        "spec": {
            "gateway": { "shards": 16 },
            "kafka": { "bootstrap": cluster.stack().kafka.address(), "topics": { "replication": 1 } },
            "mysql": { "secret": { "name": "chat-mysql" } },
            "redis": { "secret": { "name": "chat-redis" } },
        },
    });
    kubernetes.apply(&chat.to_string())?;
    let arguments = [
        binary()?.display().to_string(),
        "run".to_owned(),
        format!("--set=kubeconfig={}", kubernetes.kubeconfig().display()),
        format!("--set=admin.listen=127.0.0.1:{port}"),
        "--set=leader.namespace=default".to_owned(),
    ];
    Process::start("gochat-operator", arguments.into(), Vec::new(), &folder.join("operator.log"))
}

/// Beside the one of the services where `make test` has built both, else built now.
fn binary() -> Result<PathBuf> {
    if let Some(gochat) = std::env::var_os("GOCHAT_BIN") {
        let operator = Path::new(&gochat).with_file_name("gochat-operator");
        if operator.is_file() {
            return Ok(operator);
        }
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "-p", "gochat-operator", "--bin", "gochat-operator"]).current_dir(root());
    ensure!(cargo.status()?.success(), "cargo build -p gochat-operator");
    let me = std::env::current_exe()?;
    let folder = me.parent().and_then(Path::parent).context("the folder of programs")?;
    Ok(folder.join("gochat-operator"))
}

struct Prometheus {
    _process: Process,
    address: String,
    client: reqwest::Client,
}

impl Prometheus {
    /// One that scrapes them all each second, with the labels that a PodMonitor of the operator gives.
    fn start(cluster: &Cluster, folder: &Path, operator_port: u16) -> Result<Self> {
        let host =
            |url: String| url.trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
        let mut targets: Vec<Value> = Vec::new();
        for service in cluster.services() {
            targets.push(json!({
                "targets": [host(service.admin_url())],
                "labels": {
                    "namespace": "test", "gochat_io_cluster": "chat",
                    "gochat_io_workload": service.workload().to_string(),
                },
            }));
        }
        targets.push(json!({ "targets": [format!("127.0.0.1:{operator_port}")] }));
        let config = json!({
            "global": { "scrape_interval": "1s", "scrape_timeout": "1s" },
            "scrape_configs": [{ "job_name": "gochat", "static_configs": targets }],
        });
        let file = folder.join("prometheus.json");
        fs::write(&file, config.to_string())?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let arguments = [
            "prometheus".to_owned(),
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            format!("--web.listen-address={address}"),
        ];
        let process =
            Process::start("prometheus", arguments.into(), Vec::new(), &folder.join("prometheus.log"))?;
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self { _process: process, address, client: reqwest::Client::builder().no_proxy().build()? })
    }

    /// A number, at least one, that is one.
    async fn finds(&self, query: &str) -> Result<()> {
        let request =
            self.client.get(format!("http://{}/api/v1/query", self.address)).query(&[("query", query)]);
        let answer: Value = request.send().await?.json().await?;
        let found = answer["data"]["result"].as_array().with_context(|| answer["error"].to_string())?;
        let is_number = |found: &Value| {
            found["value"][1].as_str().is_some_and(|value| value != "NaN" && !value.ends_with("Inf"))
        };
        ensure!(found.iter().any(is_number), "{} series without a number", found.len());
        Ok(())
    }
}
