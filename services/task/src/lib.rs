//! task: what is too large or too slow for the message path.
//!
//! ```text
//! task[conversation] ──▶ worker ─┬─ FanOut ─▶ members (by pages, cached) ─▶ fan_out ─▶ downstream[shard]
//!                                └─ Push ───▶ push: a bounded queue ─▶ webhook
//! jobs   by the clock, at one member at a time: retention, the day's counters
//! ops    load by partition, drain                                     (gochat-member)
//! ```

mod clock;
mod config;
mod fan_out;
mod jobs;
mod members;
mod push;
mod worker;

use std::sync::Arc;

use anyhow::Context;
use gochat_chassis::{Health, Shutdown};
use gochat_coord::{Coord, Member};
use gochat_core::{Slots, Topics, Workload};
use gochat_member::{Drain, Operations, Peer, SlotMeter, Stay};
use gochat_mq::Mq;
use gochat_pipeline::{Patience, Pipeline, Writer};
use gochat_proto::ops::operations_server::OperationsServer;

pub use config::{Config, JobsConfig, PushConfig};

/// Records polled at a time. Few, since each may become a megabyte of recipients.
const POLL: usize = 16;

/// What task works with.
pub struct Deps {
    /// The log.
    pub mq: Mq,
    /// What its topics are called.
    pub topics: Topics,
    /// How many partitions they have.
    pub slots: Slots,
    /// In dev: a session of its own for each task of the process.
    pub coord: Coord,
    /// Where readiness is reported.
    pub health: Health,
}

/// Works until shutdown begins, then finishes what is in hand and leaves.
///
/// # Errors
/// A push sink that can't be used, a port that can't be bound, and coordination that refuses the member.
pub async fn run(config: Config, deps: Deps, shutdown: Shutdown) -> anyhow::Result<()> {
    let Deps { mq, topics, slots, coord, health } = deps;
    let check = health.check("task");
    // An alert on a rate has to see the zero before the first.
    metrics::counter!("gochat_task_dead_letters_total").increment(0);
    let repo = Peer::connect(&coord, Workload::Repo, config.repo_timeout, &shutdown);
    let writer = Writer::new(mq.producer().context("log producer")?);
    let consumer = Arc::new(mq.consumer("task", &topics.task).context("task consumer")?);
    let pusher = push::Pusher::start(&config.push, &shutdown).await?;

    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("task.listen {}", config.listen))?;
    let member = Member {
        id: gochat_member::member_id(&config.member, Workload::Task),
        workload: Workload::Task,
        address: gochat_member::advertised(&config.advertise, listener.local_addr()?),
        draining: false,
    };
    let meter = SlotMeter::new(slots.task);
    let drain = Drain::new();
    let operations = Operations {
        member: member.id.clone(),
        workload: Workload::Task,
        slots: slots.task,
        placement: coord.placement(Workload::Task),
        meter: meter.clone(),
        lag: gochat_pipeline::lag_of(&consumer),
        drain: drain.clone(),
        shutdown: shutdown.clone(),
    };
    let routes = tonic::service::Routes::new(OperationsServer::new(operations));
    let serving = tokio::spawn(gochat_chassis::grpc::serve(listener, routes, shutdown.clone()));

    let membership = coord.join(member.clone()).await.context("join as task")?;
    let members = members::Members::new(repo.clone(), slots.shards, config.cached_members);
    let patience = Patience::new(shutdown.clone(), check.clone());
    let pipeline = Pipeline {
        process: worker::Worker::new(topics, slots.shards, members, patience, pusher),
        poll: POLL,
        writer,
        consumer,
        ownership: coord.ownership(Workload::Task, slots.task, member.id.clone()),
        meter,
        shutdown: shutdown.clone(),
    };
    let consuming = tokio::spawn(pipeline.run());
    let jobs = jobs::Jobs {
        config: config.jobs,
        repo,
        coord,
        member: member.id.clone(),
        shutdown: shutdown.clone(),
    };
    let jobs = tokio::spawn(jobs.run());
    check.ready();
    tracing::info!(member = %member.id, address = member.address, "task serves");

    let stay = Stay { me: member, membership, drain, check, consuming, drain_timeout: config.drain_timeout };
    stay.until(&shutdown).await.context("task")?;
    jobs.await.context("jobs")?;
    serving.await.context("gRPC server")??;
    Ok(())
}
