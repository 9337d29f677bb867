//! logic: the business service.
//!
//! ```text
//!            ┌ auth      register, log in, refresh, log out, validate
//! gRPC ──────┼ chats     users, conversations, members, history
//!            └ ops       load by partition, drain             (gochat-member)
//! upstream ──▶ upstream  decode ─▶ authorise ─▶ append ─▶ fan_out ─▶ downstream[shard], task
//!              members   who may write and whom to tell, cached by version
//!              notify    news outside the message path
//! ```
//!
//! It keeps no state of its own: what must last is in repo, what is on its way is in the log.

mod auth;
mod chats;
mod config;
mod error;
mod fan_out;
mod log;
mod members;
mod notify;
mod repo_clients;
mod upstream;

use std::sync::Arc;

use anyhow::Context;
use gochat_cache::CacheLayer;
use gochat_chassis::{Health, Shutdown};
use gochat_coord::{Coord, Member};
use gochat_core::{Slots, Topics, Workload};
use gochat_member::{Drain, Operations, SlotMeter, Stay};
use gochat_mq::Mq;
use gochat_pipeline::{Patience, Pipeline, Writer};
use gochat_proto::logic::auth_service_server::AuthServiceServer;
use gochat_proto::logic::chat_service_server::ChatServiceServer;
use gochat_proto::ops::operations_server::OperationsServer;
use gochat_uid::Snowflake;

pub use auth::KeysError;
pub use config::{AuthConfig, Config};
pub use error::Refusal;

/// A group of 100,000 members is created in one request.
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// Records polled at a time, and so what one transaction stores at most.
const POLL: usize = 500;

/// What logic works with.
pub struct Deps {
    /// The log.
    pub mq: Mq,
    /// What its topics are called.
    pub topics: Topics,
    /// How many partitions they have.
    pub slots: Slots,
    /// Sessions go through it.
    pub cache: CacheLayer,
    /// In dev: a session of its own for each logic of the process.
    pub coord: Coord,
    /// Where readiness is reported.
    pub health: Health,
}

/// Serves until shutdown begins, then finishes what is in hand and leaves.
///
/// # Errors
/// Keys or addresses that can't be used, a port that can't be bound, and coordination that refuses the member.
pub async fn run(config: Config, deps: Deps, shutdown: Shutdown) -> anyhow::Result<()> {
    let Deps { mq, topics, slots, cache, coord, health } = deps;
    let check = health.check("logic");
    // A rate has to see the zero before the first.
    metrics::counter!("gochat_logic_dead_letters_total").increment(0);
    metrics::counter!("gochat_logic_refused_total", "code" => "not_a_member").increment(0);
    let keys = auth::KeyRing::open(&config.auth).await?;
    if let Some(path) = &config.auth.keys_file {
        shutdown
            .spawn("token-keys", keys.clone().follow(path.clone(), config.auth.keys_poll, shutdown.clone()));
    }
    let passwords = auth::Passwords::new(&config.auth).await?;
    let log = log::Log::new(Writer::new(mq.producer().context("log producer")?), &topics, slots);
    let repo = repo_clients::Repo::connect(&coord, config.repo_timeout, &shutdown);
    let ids = Snowflake::lease(&coord).await.context("worker id")?;
    let members =
        members::Members::new(repo.clone(), slots.shards, config.fanout_threshold, config.cached_members);
    let notifier = notify::Notifier { log: log.clone(), members: members.clone() };

    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("logic.listen {}", config.listen))?;
    let member = Member {
        id: gochat_member::member_id(&config.member, Workload::Logic),
        workload: Workload::Logic,
        address: gochat_member::advertised(&config.advertise, listener.local_addr()?),
        draining: false,
    };
    let consumer = Arc::new(mq.consumer("logic", &topics.upstream).context("upstream consumer")?);
    let meter = SlotMeter::new(slots.upstream);
    let drain = Drain::new();
    let operations = Operations {
        member: member.id.clone(),
        workload: Workload::Logic,
        slots: slots.upstream,
        placement: coord.placement(Workload::Logic),
        meter: meter.clone(),
        lag: gochat_pipeline::lag_of(&consumer),
        drain: drain.clone(),
        shutdown: shutdown.clone(),
    };
    let auth = auth::Auth {
        repo: repo.clone(),
        ids: ids.clone(),
        passwords,
        tokens: auth::Tokens::new(keys, config.auth.access_lifetime, config.auth.resume_lifetime),
        sessions: auth::Sessions::new(&cache, repo.clone()),
        notifier: notifier.clone(),
        session_lifetime: config.auth.session_lifetime,
    };
    let chats = chats::Chats {
        repo: repo.clone(),
        ids: ids.clone(),
        members: members.clone(),
        notifier,
        max_group_members: config.max_group_members,
    };
    let routes = tonic::service::Routes::new(AuthServiceServer::new(auth))
        .add_service(ChatServiceServer::new(chats).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(OperationsServer::new(operations));
    let serving = tokio::spawn(gochat_chassis::grpc::serve(listener, routes, shutdown.clone()));

    let membership = coord.join(member.clone()).await.context("join as logic")?;
    let upstream = Pipeline {
        writer: log.writer.clone(),
        process: upstream::Worker {
            typing: upstream::TypingNews::new(members.clone(), log.clone()),
            repo,
            members,
            log,
            ids,
            patience: Patience::new(shutdown.clone(), check.clone()),
            topic: topics.upstream,
        },
        poll: POLL,
        consumer,
        ownership: coord.ownership(Workload::Logic, slots.upstream, member.id.clone()),
        meter,
        shutdown: shutdown.clone(),
    };
    let consuming = tokio::spawn(upstream.run());
    check.ready();
    tracing::info!(member = %member.id, address = member.address, "logic serves");

    let stay = Stay { me: member, membership, drain, check, consuming, drain_timeout: config.drain_timeout };
    stay.until(&shutdown).await.context("logic")?;
    serving.await.context("gRPC server")??;
    Ok(())
}
