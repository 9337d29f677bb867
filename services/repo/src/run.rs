//! The process: binds, joins, serves until shutdown.

use std::time::Duration;

use anyhow::Context;
use gochat_chassis::{Health, Shutdown};
use gochat_coord::{Coord, Member};
use gochat_core::Workload;
use gochat_db::Db;
use gochat_member::{advertised, member_id};
use gochat_proto::ops::operations_server::OperationsServer;
use tokio::net::TcpListener;

use crate::ops::RepoOperations;
use crate::{Config, Repo};

/// What repo needs.
pub struct Deps {
    /// With the schema already migrated.
    pub db: Db,
    /// Where it announces itself.
    pub coord: Coord,
    /// Told whether the database answers.
    pub health: Health,
}

/// Serves until shutdown begins; then leaves, and ends when the calls in flight have.
///
/// # Errors
/// An address that can't be bound; a server that failed.
pub async fn run(config: Config, deps: Deps, shutdown: Shutdown) -> anyhow::Result<()> {
    let check = deps.health.check("repo");
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("bind repo.listen {}", config.listen))?;
    let address = advertised(&config.advertise, listener.local_addr()?);
    let id = member_id(&config.member, Workload::Repo);
    let repo = Repo::new(deps.db.clone());
    watch_database(config.ping_every, deps.db.clone(), &deps.health, &shutdown);
    let operations =
        RepoOperations { member: id.clone(), calls: repo.calls().clone(), shutdown: shutdown.clone() };
    let routes = repo.routes().add_service(OperationsServer::new(operations));
    let stop = shutdown.clone();
    let server =
        shutdown.spawn("repo-grpc", async move { gochat_chassis::grpc::serve(listener, routes, stop).await });
    let member =
        Member { id: id.clone(), workload: Workload::Repo, address: address.clone(), draining: false };
    let membership = deps.coord.join(member).await?;
    check.ready();
    tracing::info!(member = %id, address, "repo serves");
    let leave = async {
        shutdown.wait().await;
        // First out of the others' sight, then deaf.
        membership.leave().await;
    };
    let (served, ()) = tokio::join!(
        async {
            let served = server.await;
            // A server that ended by itself ends the process, rather than leave a member that answers nobody.
            shutdown.begin();
            served
        },
        leave
    );
    served.context("repo's server")?.context("repo's server")
}

fn watch_database(every: Duration, db: Db, health: &Health, shutdown: &Shutdown) {
    let check = health.check("db");
    let stop = shutdown.clone();
    shutdown.spawn("repo-db-ping", async move {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.wait() => return,
            }
            match db.ping().await {
                Ok(()) => check.ready(),
                Err(error) => check.not_ready(error.to_string()),
            }
        }
    });
}
