//! One member of a workload as a process of its own.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use gochat_cache::CacheLayer;
use gochat_chassis::{Check, Health, Shutdown, telemetry};
use gochat_coord::Coord;
use gochat_core::Workload;
use gochat_db::Db;
use gochat_mq::Mq;

use crate::engines::{serve_admin, wait_for};
use crate::say;
use crate::settings::{Settings, SettingsArgs};

/// For what a service left running; it has had its own time to drain.
const DRAIN: Duration = Duration::from_secs(5);

pub(crate) async fn run(workload: Workload, args: SettingsArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(&args, Vec::new())?;
    if args.print_config {
        say::text(&settings.print()?);
        return Ok(ExitCode::SUCCESS);
    }
    settings.require_engines(workload)?;
    let telemetry = telemetry::init(&settings.telemetry, name(workload))?;
    let (health, shutdown) = (Health::new(), Shutdown::new());
    // Until the service has a check of its own, or an engine that answers would make it ready.
    let starting = health.check("service");
    shutdown.on_signals();
    serve_admin(settings.admin.listen, &health, &telemetry, &shutdown).await?;
    tracing::info!(%workload, version = env!("CARGO_PKG_VERSION"), "starting");

    let result = serve(workload, settings, &health, &starting, &shutdown).await;
    shutdown.begin();
    shutdown.drain(DRAIN).await;
    result.with_context(|| workload.to_string())?;
    tracing::info!(%workload, "stopped");
    Ok(ExitCode::SUCCESS)
}

/// `None` where it was stopped while it waited for an engine, which is no failure.
async fn serve(
    workload: Workload,
    settings: Settings,
    health: &Health,
    starting: &Check,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let coord = Coord::connect(&settings.coord).await?;
    if wait_for("coord", health, shutdown, || coord.ping()).await.is_none() {
        return Ok(());
    }
    if workload == Workload::Repo {
        let db = Db::connect(&settings.db).await?;
        if wait_for("database", health, shutdown, || db.ping()).await.is_none() {
            return Ok(());
        }
        let deps = gochat_repo::Deps { db, coord, health: health.clone() };
        return started(starting, Box::pin(gochat_repo::run(settings.repo, deps, shutdown.clone()))).await;
    }
    let mq = Mq::connect(&settings.mq).await?;
    let (topics, slots) = (settings.topic_names(), settings.topics.slots()?);
    let specs = settings.topics.specs(topics.clone());
    if wait_for("log", health, shutdown, || mq.ensure_topics(&specs)).await.is_none() {
        return Ok(());
    }
    let health = health.clone();
    match workload {
        Workload::Gateway => {
            let deps = gochat_gateway::Deps { mq, topics, slots, coord, health };
            started(starting, Box::pin(gochat_gateway::run(settings.gateway, deps, shutdown.clone()))).await
        }
        Workload::Logic => {
            let cache = CacheLayer::connect(&settings.cache).await?;
            let deps = gochat_logic::Deps { mq, topics, slots, cache, coord, health };
            started(starting, Box::pin(gochat_logic::run(settings.logic, deps, shutdown.clone()))).await
        }
        Workload::Task | Workload::Repo => {
            let deps = gochat_task::Deps { mq, topics, slots, coord, health };
            started(starting, Box::pin(gochat_task::run(settings.task, deps, shutdown.clone()))).await
        }
    }
}

/// Runs a service, which adds its check before it first waits; from then on that one speaks for it.
async fn started(
    starting: &Check,
    mut service: Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>,
) -> anyhow::Result<()> {
    tokio::select! {
        biased;
        result = &mut service => return result,
        () = std::future::ready(()) => starting.ready(),
    }
    service.await
}

const fn name(workload: Workload) -> &'static str {
    match workload {
        Workload::Gateway => "gochat-gateway",
        Workload::Logic => "gochat-logic",
        Workload::Repo => "gochat-repo",
        Workload::Task => "gochat-task",
    }
}
