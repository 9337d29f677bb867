//! Engines and services as real processes, for benchmarks and for trying things by hand:
//! `cargo run -p gochat-e2e --bin gochat-stack`. Prints addresses and pids as one line of JSON when all is ready, and
//! stays until Ctrl-C.
#![allow(clippy::print_stdout, reason = "the line is its result")]

use anyhow::Result;
use clap::Parser;
use gochat_core::Workload;
use gochat_e2e::{Cluster, PARTITIONS, SHARDS, Service, Size};
use gochat_engines::{Stack, Tuning};
use serde_json::{Value, json};

/// Runs engines and services until Ctrl-C.
#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, default_value_t = 2)]
    gateways: usize,
    #[arg(long, default_value_t = 2)]
    logics: usize,
    #[arg(long, default_value_t = 1)]
    repos: usize,
    #[arg(long, default_value_t = 1)]
    tasks: usize,
    /// Tune the engines for throughput instead of for a fast start.
    #[arg(long)]
    load: bool,
    /// More settings as JSON, by section: {"gateway": {"messages_per_second": 1000}}.
    #[arg(long, default_value = "{}")]
    settings: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let more: Value = serde_json::from_str(&arguments.settings)?;
    let size = Size {
        gateways: arguments.gateways,
        logics: arguments.logics,
        repos: arguments.repos,
        tasks: arguments.tasks,
    };
    let tuning = if arguments.load { Tuning::Load } else { Tuning::Function };
    let stack: &'static Stack = Box::leak(Box::new(Stack::start_for(tuning).await?));
    let cluster = Cluster::start_on(stack, "stack", size, &more).await?;
    let slots =
        |key: &str, default| more.pointer(key).and_then(Value::as_u64).map_or(Ok(default), u32::try_from);
    for (workload, slots) in [
        (Workload::Gateway, slots("/topics/shards", SHARDS)?),
        (Workload::Logic, slots("/topics/upstream_partitions", PARTITIONS)?),
        (Workload::Task, slots("/topics/task_partitions", PARTITIONS)?),
    ] {
        cluster.deal(workload, slots).await?;
    }
    println!("{}", describe(&cluster));
    tokio::signal::ctrl_c().await?;
    Ok(())
}

fn describe(cluster: &Cluster) -> Value {
    let service = |s: &Service| {
        json!({
            "member": s.member(), "pid": s.pid(), "admin": s.admin_url(), "grpc": s.grpc_url(),
            "http": (s.workload() == Workload::Gateway).then(|| s.url()),
        })
    };
    let stack = cluster.stack();
    json!({
        "gateways": cluster.gateways(),
        "services": cluster.services().iter().map(service).collect::<Vec<_>>(),
        "engines": {
            "kafka": stack.kafka.address(), "mariadb": stack.mariadb.url(),
            "redis": stack.redis.url(), "etcd": stack.etcd.url(),
        },
        "pids": cluster.pids().into_iter().map(|(_, pid)| pid).collect::<Vec<_>>(),
        "settings": cluster.settings(),
    })
}
