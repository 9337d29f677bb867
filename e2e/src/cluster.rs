//! A whole GoChat: its services as processes, on the shared engines.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use gochat_coord::{Coord, CoordConfig};
use gochat_core::{Epoch, MemberId, Placement, Slot, SlotCount, Workload};
use gochat_engines::Stack;
use serde_json::{Value, json};

use crate::{Service, artifacts, binary, shared_stack};

/// How many processes of each service.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    #[allow(missing_docs)]
    pub gateways: usize,
    #[allow(missing_docs)]
    pub logics: usize,
    #[allow(missing_docs)]
    pub repos: usize,
    #[allow(missing_docs)]
    pub tasks: usize,
}

impl Default for Size {
    /// The smallest where everything crosses a process: relay, placement, partitions.
    fn default() -> Self {
        Self { gateways: 2, logics: 2, repos: 1, tasks: 1 }
    }
}

/// The key that tokens of a test cluster are signed with.
pub const SECRET: &str = "a-secret-of-the-tests-and-of-nothing-else";
/// Gateway shards.
pub const SHARDS: u32 = 16;
/// Upstream partitions, and task partitions.
pub const PARTITIONS: u32 = 8;

/// Running services; they end when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    name: String,
    folder: PathBuf,
    settings: PathBuf,
    stack: &'static Stack,
    services: Vec<Service>,
}

impl Cluster {
    /// Starts a cluster on the shared engines and waits until all of it is ready. The name keeps it apart from others.
    pub async fn start(name: &str, size: Size) -> Result<Self> {
        Self::start_on(shared_stack().await?, name, size, &json!({})).await
    }

    /// The same with more settings: sections as in the settings file, merged over the harness's own.
    pub async fn start_with(name: &str, size: Size, more: &Value) -> Result<Self> {
        Self::start_on(shared_stack().await?, name, size, more).await
    }

    /// The same on engines of one's own.
    pub async fn start_on(stack: &'static Stack, name: &str, size: Size, more: &Value) -> Result<Self> {
        let binary = binary::path().await?;
        let folder = artifacts(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let database = stack.mariadb.create_database(&name.replace('-', "_")).await?;
        let settings = folder.join("settings.json");
        let mut values = settings_of(stack, name, &database);
        merge(&mut values, more);
        fs::write(&settings, serde_json::to_string_pretty(&values)?)?;
        migrate(binary, &settings, &folder.join("migrate.log")).await?;

        let counts = [
            (Workload::Repo, size.repos),
            (Workload::Logic, size.logics),
            (Workload::Task, size.tasks),
            (Workload::Gateway, size.gateways),
        ];
        let mut services = Vec::new();
        for (workload, count) in counts {
            for index in 0..count {
                services.push(Service::start(
                    binary,
                    workload,
                    &format!("{workload}-{index}"),
                    &settings,
                    &folder,
                )?);
            }
        }
        try_join_all(services.iter().map(Service::ready)).await?;
        Ok(Self { name: name.to_owned(), folder, settings, stack, services })
    }

    /// Its name: the prefix of its topics and keys.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it writes its logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The settings file that all its services share.
    pub fn settings(&self) -> &Path {
        &self.settings
    }

    /// The engines behind it.
    pub fn stack(&self) -> &'static Stack {
        self.stack
    }

    /// All its processes.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Those of one workload, in order.
    pub fn of(&self, workload: Workload) -> Vec<&Service> {
        self.services.iter().filter(|service| service.workload() == workload).collect()
    }

    /// The one with this member id.
    pub fn service(&self, member: &str) -> Result<&Service> {
        self.services
            .iter()
            .find(|service| service.member() == member)
            .with_context(|| format!("no member {member}"))
    }

    /// The gateways' addresses, for clients.
    pub fn gateways(&self) -> Vec<String> {
        self.of(Workload::Gateway).into_iter().map(Service::url).collect()
    }

    /// The address of a gateway by number, from 0; past the last one it starts again.
    pub fn gateway(&self, number: usize) -> Result<String> {
        let gateways = self.gateways();
        gateways.get(number % gateways.len().max(1)).cloned().context("the cluster has no gateway")
    }

    /// Process ids of services and engines, for accounting.
    pub fn pids(&self) -> Vec<(String, u32)> {
        let services =
            self.services.iter().filter_map(|service| Some((service.member().to_owned(), service.pid()?)));
        services.chain(self.stack.pids().into_iter().map(|(name, pid)| (name.to_owned(), pid))).collect()
    }

    /// The sum of a metric over all gateways.
    pub async fn gateway_count(&self, name: &str) -> Result<f64> {
        let mut sum = 0.0;
        for gateway in self.of(Workload::Gateway) {
            sum += gateway.metrics().await?.sum(name, "");
        }
        Ok(sum)
    }

    /// Deals a workload's slots evenly to its members, as the planner would. Without it they go by hash, which may give one
    /// of two members three of four.
    pub async fn deal(&self, workload: Workload, slots: u32) -> Result<Placement> {
        let members: Vec<MemberId> =
            self.of(workload).iter().map(|service| service.member().into()).collect();
        let placement = Placement::dealt(Epoch(1), SlotCount::new(slots)?, &members);
        self.coord().await?.put_placement(workload, &placement).await?;
        Ok(placement)
    }

    /// Waits until the member works on the slot: until it holds its claim.
    pub async fn slot_is_held_by(&self, workload: Workload, slot: Slot, member: &MemberId) -> Result<()> {
        let mut holder = self.coord().await?.watch(&format!("slots/{workload}/{slot}"));
        let held = holder.wait_for(|holder| holder.as_deref() == Some(member.as_str().as_bytes()));
        let held = tokio::time::timeout(Duration::from_secs(15), held).await;
        held.with_context(|| format!("{member} did not take over slot {slot} of {workload}"))??;
        Ok(())
    }

    /// Its coordination, as the operator would use it.
    pub async fn coord(&self) -> Result<Coord> {
        let config = CoordConfig {
            etcd: vec![self.stack.etcd.url()],
            prefix: self.name.clone(),
            ..CoordConfig::default()
        };
        Ok(Coord::connect(&config).await?)
    }
}

fn settings_of(stack: &Stack, name: &str, database: &str) -> Value {
    json!({
        "mq": { "bootstrap": stack.kafka.address(), "prefix": name },
        "db": { "url": database },
        "cache": { "redis": stack.redis.url(), "prefix": name },
        "coord": { "etcd": [stack.etcd.url()], "prefix": name },
        "topics": { "shards": SHARDS, "upstream_partitions": PARTITIONS, "task_partitions": PARTITIONS, "replication": 1 },
        "logic": { "auth": { "secret": SECRET } },
    })
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

async fn migrate(binary: &Path, settings: &Path, log: &Path) -> Result<()> {
    let output = fs::File::create(log)?;
    let mut command = tokio::process::Command::new(binary);
    command.arg("migrate").arg("--config").arg(settings).stdin(Stdio::null());
    let status =
        command.stdout(output.try_clone()?).stderr(output).status().await.context("run gochat migrate")?;
    ensure!(status.success(), "gochat migrate: {status}\n{}", fs::read_to_string(log).unwrap_or_default());
    Ok(())
}
