//! A GoChatCluster in a namespace of its own.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::kubectl::{apply, eventually, json, kubectl};
use crate::{Load, artifacts};

/// What a chat system is made of.
pub const WORKLOADS: [&str; 4] = ["gateway", "logic", "repo", "task"];

/// A chat system; deleted with its namespace when dropped, unless the test failed.
#[derive(Debug)]
pub struct Chat {
    namespace: String,
}

impl Chat {
    /// The name of the resource in its namespace.
    pub const NAME: &str = "chat";

    /// Makes all that [`Chat::prepare`] does, and applies a small GoChatCluster with `more` (indented lines of its spec).
    pub fn create(namespace: &str, more: &str) -> Result<Self> {
        let chat = Self::prepare(namespace)?;
        chat.apply(more)?;
        Ok(chat)
    }

    /// Makes namespace, database and secrets.
    pub fn prepare(namespace: &str) -> Result<Self> {
        let chat = Self { namespace: namespace.to_owned() };
        let (mysql, redis) = (chat.database()?, env::var("E2E_REDIS")?);
        let secret = |name: &str, url: &str| {
            format!(
                "---\napiVersion: v1\nkind: Secret\nmetadata: {{ name: {name} }}\nstringData: {{ url: \"{url}\" }}\n"
            )
        };
        apply(
            "default",
            &format!(
                "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n  labels: {{ pod-security.kubernetes.io/enforce: restricted }}\n"
            ),
        )?;
        apply(namespace, &[secret("chat-mysql", &mysql), secret("chat-redis", &redis)].concat())?;
        Ok(chat)
    }

    /// Applies the resource again with other lines in its spec.
    pub fn apply(&self, more: &str) -> Result<()> {
        apply(&self.namespace, &Self::resource(more)?).map(drop)
    }

    /// The resource as YAML, with `more` (indented lines of its spec).
    pub fn resource(more: &str) -> Result<String> {
        let kafka = env::var("E2E_KAFKA")?;
        Ok(format!(
            "apiVersion: gochat.io/v1alpha1
kind: GoChatCluster
metadata: {{ name: {} }}
spec:
  kafka: {{ bootstrap: \"{kafka}\", topics: {{ replication: 1, upstream: {{ partitions: {{ min: 8 }} }}, task: {{ partitions: {{ min: 4 }} }} }} }}
  mysql: {{ secret: {{ name: chat-mysql }} }}
  redis: {{ secret: {{ name: chat-redis }} }}
{more}
",
            Self::NAME
        ))
    }

    /// A database of its own on the shared server; its address.
    fn database(&self) -> Result<String> {
        let url = env::var("E2E_MYSQL")?;
        let (server, _) = url.rsplit_once('/').context("E2E_MYSQL has no database")?;
        let (user, address) =
            server.trim_start_matches("mysql://").rsplit_once('@').context("E2E_MYSQL has no user")?;
        let (user, password) = user.split_once(':').context("E2E_MYSQL has no password")?;
        let (host, port) = address.split_once(':').unwrap_or((address, "3306"));
        let name = format!("gochat_{}", self.namespace.replace('-', "_"));
        let statement =
            format!("CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
        let status = Command::new("mariadb")
            .args(["--no-defaults", "-h", host, "-P", port, "-u", user, "-e", &statement])
            .env("MYSQL_PWD", password)
            .status()
            .context("run mariadb")?;
        ensure!(status.success(), "create database {name}: {status}");
        Ok(format!("{server}/{name}"))
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Runs kubectl in its namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        kubectl(&[arguments, &["--namespace", &self.namespace]].concat())
    }

    /// An object of its namespace.
    pub fn get(&self, arguments: &[&str]) -> Result<Value> {
        json(&[&["get", "--namespace", &self.namespace], arguments].concat())
    }

    /// Waits until the resource is Ready; gives how long it took.
    pub fn ready(&self, within: Duration) -> Result<Duration> {
        let is_ready = || {
            let chat = self.get(&["gochatcluster", Self::NAME])?;
            let observed = chat.pointer("/status/observedGeneration") == chat.pointer("/metadata/generation");
            Ok(observed && condition(&chat, "Ready").is_some_and(|c| c.get("status") == Some(&"True".into())))
        };
        let waited = eventually("GoChatCluster Ready", within, is_ready);
        waited.with_context(|| self.diagnosis())
    }

    /// Where clients connect: the NodePort on the first node.
    pub fn address(&self) -> Result<String> {
        let address = self.addresses()?.into_iter().next().context("no node has an address")?;
        Ok(format!("http://{address}"))
    }

    /// The NodePort on every node, as `host:port`.
    pub fn addresses(&self) -> Result<Vec<String>> {
        let service = self.get(&["service", "chat-gateway"])?;
        let port =
            service.pointer("/spec/ports/0/nodePort").and_then(Value::as_u64).context("no node port")?;
        let nodes = json(&["get", "nodes"])?;
        let nodes = nodes.get("items").and_then(Value::as_array).context("no nodes")?;
        let host = |node: &Value| {
            let mut addresses = node.pointer("/status/addresses")?.as_array()?.iter();
            let internal = addresses.find(|a| a.get("type") == Some(&"InternalIP".into()))?;
            internal.get("address")?.as_str().map(str::to_owned)
        };
        Ok(nodes.iter().filter_map(host).map(|host| format!("{host}:{port}")).collect())
    }

    /// The pods of a workload, by name.
    pub fn pods(&self, workload: &str) -> Result<Vec<Value>> {
        let selector = format!("gochat.io/cluster={},gochat.io/workload={workload}", Self::NAME);
        let pods = self.get(&["pods", "-l", &selector])?;
        Ok(pods.get("items").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// The pods of all workloads.
    pub fn all_pods(&self) -> Result<Vec<Pod>> {
        let pods =
            self.get(&["pods", "-l", &format!("gochat.io/cluster={},gochat.io/workload", Self::NAME)])?;
        Ok(pods.get("items").and_then(Value::as_array).into_iter().flatten().map(Pod::of).collect())
    }

    /// Waits until the resource is Ready and each workload has all its pods, without counting the `lost` ones: neither
    /// Kubernetes nor the operator knows of a fault at once, and until then everything looks as before.
    pub fn whole_without(&self, lost: &[Pod], within: Duration) -> Result<()> {
        let is_whole = || {
            let pods = self.all_pods()?;
            for workload in WORKLOADS {
                let deployment = self.get(&["deployment", &format!("{}-{workload}", Self::NAME)])?;
                let wanted = deployment.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
                let serves = |pod: &&Pod| {
                    pod.workload == workload && pod.serves && !lost.iter().any(|l| l.uid == pod.uid)
                };
                let there = pods.iter().filter(serves).count();
                ensure!(there as u64 >= wanted, "{there} of {wanted} pods of {workload}");
            }
            Ok(true)
        };
        let began = Instant::now();
        eventually("every workload has its pods", within, is_whole).with_context(|| self.diagnosis())?;
        self.ready(within.saturating_sub(began.elapsed())).map(drop)
    }

    /// Messages that its gateways have accepted.
    pub fn accepted(&self) -> Result<f64> {
        let mut sum = 0.0;
        for pod in self.pods("gateway")? {
            let Some(name) = pod.pointer("/metadata/name").and_then(Value::as_str) else { continue };
            let path = format!("/api/v1/namespaces/{}/pods/{name}:9100/proxy/metrics", self.namespace);
            // A pod that is about to go may not answer any more.
            let Ok(metrics) = kubectl(&["get", "--raw", &path]) else { continue };
            sum += metrics
                .lines()
                .filter(|line| line.starts_with("gochat_gateway_accepted_total"))
                .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
                .sum::<f64>();
        }
        Ok(sum)
    }

    /// Starts a load on it.
    pub fn load(&self, name: &str, arguments: &[&str]) -> Result<Load> {
        self.load_at(&self.address()?, name, arguments)
    }

    /// Starts a load on what stands before it.
    pub fn load_at(&self, target: &str, name: &str, arguments: &[&str]) -> Result<Load> {
        Load::start(target, &self.folder(), name, arguments)
    }

    /// Where logs and reports of its test are kept.
    pub fn folder(&self) -> PathBuf {
        artifacts(&self.namespace)
    }

    /// What a person would look at when it does not get ready.
    pub fn diagnosis(&self) -> String {
        let looks: [&[&str]; 4] = [
            &[
                "get",
                "gochatcluster",
                Self::NAME,
                "-o",
                "jsonpath={range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{\"\\n\"}{end}",
            ],
            &["get", "pods", "-o", "wide"],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &[
                "logs",
                "--tail=8",
                "--prefix",
                "--all-containers",
                "-l",
                "gochat.io/cluster=chat",
                "--max-log-requests=20",
            ],
        ];
        looks
            .iter()
            .map(|look| self.kubectl(look).unwrap_or_else(|e| format!("{e:#}")))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.diagnosis());
            return;
        }
        if let Err(error) = kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]) {
            eprintln!("{error:#}");
        }
    }
}

/// A pod of a workload, as it was seen.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// No other ever has it, not even under the same name.
    pub uid: String,
    /// `gateway`, `logic`, `repo` or `task`.
    pub workload: String,
    /// Where it runs; empty where it does not yet.
    pub node: String,
    /// Ready, and not told to go.
    pub serves: bool,
    /// How often its container was started again.
    pub restarts: u64,
}

impl Pod {
    fn of(pod: &Value) -> Self {
        let text =
            |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let ready = condition(pod, "Ready").is_some_and(|c| c.get("status") == Some(&"True".into()));
        Self {
            name: text("/metadata/name"),
            uid: text("/metadata/uid"),
            workload: text("/metadata/labels/gochat.io~1workload"),
            node: text("/spec/nodeName"),
            serves: ready && pod.pointer("/metadata/deletionTimestamp").is_none(),
            restarts: pod
                .pointer("/status/containerStatuses/0/restartCount")
                .and_then(Value::as_u64)
                .unwrap_or_default(),
        }
    }
}

/// A condition of an object, by its type.
fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object.pointer("/status/conditions")?.as_array()?.iter().find(|c| c.get("type") == Some(&kind.into()))
}
