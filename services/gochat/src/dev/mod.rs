//! `gochat dev`: a whole cluster in this process, on embedded engines.
//!
//! ```text
//! data         the folder: lock, database, log, signing key
//! cluster      a GoChatCluster as settings
//! members      starts repo, logic, task and gateways, each under a lease of its own, and lets them go
//! pilot        the operator's place: the same planner and autoscalers over these members
//! connections  tells how many there are
//! greeting     where to look and what to type
//! ```
//!
//! The services are the same as in production and know nothing of each other here either: they speak gRPC over
//! loopback, and through the log.

mod cluster;
mod connections;
mod data;
mod greeting;
mod members;
mod pilot;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gochat_cache::CacheLayer;
use gochat_chassis::{Health, Shutdown, telemetry};
use gochat_coord::Coord;
use gochat_core::Workload;
use gochat_crds::GoChatCluster;
use gochat_db::Db;
use gochat_mq::Mq;

use crate::engines::serve_admin;
use crate::placement::slots;
use crate::say;
use crate::settings::{Settings, SettingsArgs};

use data::Data;
use members::{Engines, Members};
use pilot::Pilot;

pub(crate) const HELP: &str = "\
Examples:
  gochat dev                               two of gateway, logic and task, one repo; data in ./.gochat
  gochat dev --ephemeral                   keeps nothing
  gochat dev --file cluster.yaml           another GoChatCluster; one with autoscaling grows and shrinks
  gochat dev --host 0.0.0.0 --port 9000    reachable from your phone
  gochat dev --set telemetry.filter=info   with the services' logs
Members, slots and their number follow the load as under the operator: each decision is a line with its reason.
CPU is no signal here, and repo is one: they share a process. Ctrl-C stops it.";

/// How long members may take to come, and services to be ready.
const START: Duration = Duration::from_secs(30);
/// What gateways, logic and task have to finish, while repo still answers; then repo's own.
const STOP_FRONT: Duration = Duration::from_millis(3500);
const STOP_BACK: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The GoChatCluster to run; by default a small sample
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Folder of the database, the log and the signing key
    #[arg(long, value_name = "FOLDER", default_value = ".gochat")]
    data: PathBuf,
    /// Keep nothing: everything in memory
    #[arg(long, conflicts_with = "data")]
    ephemeral: bool,
    /// Port of the first gateway; the others take the next ones. 0: any
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Address that gateways listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let cluster = read_cluster(&args)?;
    let data = if args.ephemeral { Data::in_memory() } else { Data::open(&args.data)? };
    let settings = Settings::load(&args.settings, [data.settings(), cluster::settings(&cluster)].concat())?;
    if args.settings.print_config {
        say::text(&settings.print()?);
        return Ok(ExitCode::SUCCESS);
    }
    let telemetry = telemetry::init(&settings.telemetry, "gochat-dev")?;
    let metrics = telemetry.metrics();
    let (health, stop) = (Health::new(), Shutdown::new());
    stop.on_signals();
    let spec = &cluster.spec;
    let begin = [
        (Workload::Repo, 1),
        (Workload::Logic, spec.logic.initial_replicas()),
        (Workload::Task, spec.task.initial_replicas()),
        (Workload::Gateway, spec.gateway.initial_replicas()),
    ];
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let counts: Vec<_> = begin.iter().map(|(workload, count)| format!("{workload} × {count}")).collect();
    say::line(&format!("GoChat {} as cluster {name:?}: {}", env!("CARGO_PKG_VERSION"), counts.join(", ")));
    let step = |what: &str, since: Instant| {
        say::line(&format!("  {what:<64} {:>5} ms", since.elapsed().as_millis()));
    };
    step(&format!("data {data}"), began);

    let admin = members::free_port(settings.admin.listen)?;
    let admin = serve_admin(admin, &health, &telemetry, &stop).await?;
    let ready = health.check("members");
    let since = Instant::now();
    let db = Db::connect(&settings.db).await?;
    let applied = gochat_repo::migrate(&db).await.context("migrate")?;
    step(&format!("database (migrations applied: {applied})"), since);
    let since = Instant::now();
    let mq = Mq::connect(&settings.mq).await?;
    mq.ensure_topics(&settings.topics.specs(settings.topic_names())).await?;
    step("log", since);
    let since = Instant::now();
    let coord = Coord::connect(&settings.coord).await?;
    let cache = CacheLayer::connect(&settings.cache).await?;
    let mut pilot = Pilot::new(spec, &coord, |workload| slots(workload, &settings))?;
    let engines = Engines { mq, db, cache, coord };
    let mut members = Members::new(settings, engines, SocketAddr::new(args.host, args.port));
    for (workload, count) in begin {
        members.scale(workload, count as usize).await?;
    }
    let started = tokio::select! {
        // Members that end because they were told to have not failed.
        biased;
        () = stop.wait() => Ok(()),
        started = tokio::time::timeout(START, pilot.steer(&mut members, |members| members.failing().is_empty())) => {
            let late = || anyhow::anyhow!("not ready within {START:?}: {}", members.failing().join("; "));
            started.unwrap_or_else(|_| Err(late()))
        }
    };
    let mut result = started;
    if result.is_ok() && !stop.is_shutting_down() {
        ready.ready();
        let count: u32 = begin.iter().map(|(_, count)| count).sum();
        step(&format!("{count} members joined, slots dealt out, all ready"), since);
        greeting::say(members.gateways(), admin, began.elapsed());
        result = tokio::select! {
            biased;
            () = stop.wait() => Ok(()),
            ended = pilot.steer(&mut members, |_| false) => ended,
            () = connections::tell(&metrics) => Ok(()),
        };
    }

    let stopping = Instant::now();
    say::line("stopping");
    stop.begin();
    members.end(STOP_FRONT, STOP_BACK).await;
    say::line(&format!("stopped in {} ms", stopping.elapsed().as_millis()));
    drop(data);
    result.map(|()| ExitCode::SUCCESS)
}

fn read_cluster(args: &Args) -> anyhow::Result<GoChatCluster> {
    let (text, from) = match &args.file {
        None => (gochat_crds::SAMPLE.to_owned(), "the sample cluster".to_owned()),
        Some(path) => {
            let from = path.display().to_string();
            (std::fs::read_to_string(path).with_context(|| format!("read {from}"))?, from)
        }
    };
    Ok(gochat_crds::file::read(&text, &from)?)
}
