//! Starts the members of the cluster, each as if it were alone in its process.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::Context as _;
use gochat_cache::CacheLayer;
use gochat_chassis::{Health, Shutdown};
use gochat_coord::Coord;
use gochat_core::Workload;
use gochat_crds::GoChatClusterSpec;
use gochat_db::Db;
use gochat_mq::Mq;
use tokio::task::JoinSet;

use crate::say;
use crate::settings::Settings;

/// Where services of this process reach each other.
const INSIDE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How many ports after the wanted one are tried.
const PORTS: u16 = 100;

/// What all members share. Each gets a coordination session of its own, so that one can leave without the others.
pub(super) struct Engines {
    pub(super) mq: Mq,
    pub(super) db: Db,
    pub(super) cache: CacheLayer,
    pub(super) coord: Coord,
    pub(super) health: Health,
}

/// The running members.
pub(super) struct Members {
    front: JoinSet<(String, anyhow::Result<()>)>,
    back: JoinSet<(String, anyhow::Result<()>)>,
    gateways: Vec<SocketAddr>,
    counts: Vec<(Workload, usize)>,
}

impl Members {
    /// Starts them all; gateways listen when this returns.
    pub(super) async fn start(
        settings: &Settings,
        spec: &GoChatClusterSpec,
        engines: &Engines,
        mut gateway_at: SocketAddr,
        front: &Shutdown,
        back: &Shutdown,
    ) -> anyhow::Result<Self> {
        let mut members =
            Self { front: JoinSet::new(), back: JoinSet::new(), gateways: Vec::new(), counts: Vec::new() };
        let Engines { mq, db, cache, coord, health } = engines;
        let named = |workload: Workload, index: u32| format!("{workload}-{index}");

        let mut config = settings.repo.clone();
        (config.listen, config.member) = (INSIDE, named(Workload::Repo, 0));
        let deps = gochat_repo::Deps { db: db.clone(), coord: coord.session(), health: health.clone() };
        let serving = gochat_repo::run(config, deps, back.clone());
        members.back.spawn(async move { (named(Workload::Repo, 0), serving.await) });

        for index in 0..spec.logic.initial_replicas() {
            let mut config = settings.logic.clone();
            (config.listen, config.member) = (INSIDE, named(Workload::Logic, index));
            let (mq, cache, coord, health) = (mq.clone(), cache.clone(), coord.session(), health.clone());
            let deps = gochat_logic::Deps { mq, cache, coord, health };
            let serving = gochat_logic::run(config, deps, front.clone());
            members.front.spawn(async move { (named(Workload::Logic, index), serving.await) });
        }
        for index in 0..spec.task.initial_replicas() {
            let mut config = settings.task.clone();
            (config.listen, config.member) = (INSIDE, named(Workload::Task, index));
            let deps = gochat_task::Deps { mq: mq.clone(), coord: coord.session(), health: health.clone() };
            let serving = gochat_task::run(config, deps, front.clone());
            members.front.spawn(async move { (named(Workload::Task, index), serving.await) });
        }
        for index in 0..spec.gateway.initial_replicas() {
            let mut config = settings.gateway.clone();
            gateway_at = free_port(gateway_at)?;
            (config.listen, config.grpc_listen) = (gateway_at, INSIDE);
            config.member = named(Workload::Gateway, index);
            let deps =
                gochat_gateway::Deps { mq: mq.clone(), coord: coord.session(), health: health.clone() };
            let bound = gochat_gateway::Bound::bind(config, deps).await?;
            members.gateways.push(bound.address()?);
            if gateway_at.port() != 0 {
                gateway_at.set_port(
                    gateway_at.port().checked_add(1).context("no port is left for the next gateway")?,
                );
            }
            let serving = bound.serve(front.clone());
            members.front.spawn(async move { (named(Workload::Gateway, index), serving.await) });
        }
        members.counts = [
            (Workload::Repo, 1),
            (Workload::Logic, spec.logic.initial_replicas()),
            (Workload::Task, spec.task.initial_replicas()),
            (Workload::Gateway, spec.gateway.initial_replicas()),
        ]
        .map(|(workload, count)| (workload, count as usize))
        .into();
        Ok(members)
    }

    /// Where clients connect, in the order of the gateways.
    pub(super) fn gateways(&self) -> &[SocketAddr] {
        &self.gateways
    }

    /// How many there are of each workload.
    pub(super) fn counts(&self) -> Vec<(Workload, usize)> {
        self.counts.clone()
    }

    /// How many there are in all.
    pub(super) fn count(&self) -> usize {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// Waits for a member that ends though nobody stopped it, and tells why.
    pub(super) async fn first_end(&mut self) -> anyhow::Error {
        let ended = tokio::select! {
            Some(ended) = self.front.join_next() => ended,
            Some(ended) = self.back.join_next() => ended,
            else => return anyhow::anyhow!("all members have ended"),
        };
        match ended {
            Ok((member, Err(error))) => error.context(format!("{member} failed")),
            Ok((member, Ok(()))) => anyhow::anyhow!("{member} ended by itself"),
            Err(error) => anyhow::anyhow!("a member panicked: {error}"),
        }
    }

    /// Waits for the front, which has been told to stop, then stops the back: what is in hand needs repo.
    pub(super) async fn stop(mut self, back: &Shutdown, for_front: Duration, for_back: Duration) {
        ended("front", &mut self.front, for_front).await;
        back.begin();
        ended("repo", &mut self.back, for_back).await;
    }
}

async fn ended(what: &str, members: &mut JoinSet<(String, anyhow::Result<()>)>, within: Duration) {
    let all = async {
        while let Some(ended) = members.join_next().await {
            match ended {
                Ok((_, Ok(()))) => {}
                Ok((member, Err(error))) => {
                    tracing::warn!(member, error = format!("{error:#}"), "did not stop well");
                }
                Err(error) => tracing::warn!(%error, "did not stop well"),
            }
        }
    };
    if tokio::time::timeout(within, all).await.is_err() {
        tracing::warn!(what, left = members.len(), ?within, "members did not stop in time");
        members.abort_all();
    }
}

/// The address, or one with the next free port, which is said. Port 0 stays: the system chooses.
pub(super) fn free_port(wanted: SocketAddr) -> anyhow::Result<SocketAddr> {
    let mut tried = wanted;
    for _ in 0..=PORTS {
        // It is let go at once and taken a moment later: a race that a developer's machine does not have.
        match TcpListener::bind(tried) {
            Ok(_) if tried == wanted => return Ok(tried),
            Ok(_) => {
                say::line(&format!("  port {} is in use; taking {}", wanted.port(), tried.port()));
                return Ok(tried);
            }
            Err(error) if error.kind() != std::io::ErrorKind::AddrInUse => {
                return Err(error).with_context(|| format!("listen on {tried}"));
            }
            Err(_) => tried.set_port(tried.port().checked_add(1).context("no port is left")?),
        }
    }
    anyhow::bail!("no free port from {} to {}", wanted.port(), tried.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_passed_over() {
        let used = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let holder = TcpListener::bind(used).unwrap();
        let free = free_port(used).unwrap();
        assert!(free.port() > used.port());
        drop(holder);
        assert_eq!(free_port(INSIDE).unwrap().port(), 0);
    }
}
