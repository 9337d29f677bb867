//! The members of the cluster, each as if it were alone in its process: starts them, and lets them go.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use gochat_cache::CacheLayer;
use gochat_chassis::{Health, Shutdown};
use gochat_coord::Coord;
use gochat_core::Workload;
use gochat_db::Db;
use gochat_mq::Mq;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

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
}

/// The running members.
pub(super) struct Members {
    settings: Settings,
    engines: Engines,
    running: Vec<Member>,
    tasks: JoinSet<(String, anyhow::Result<()>)>,
    /// Who has joined.
    living: Vec<(Workload, Living)>,
    /// Where clients connect, by the gateways' numbers. A number that comes back gets its address back.
    gateways: Vec<SocketAddr>,
    /// Where the first gateway listens.
    gateway_at: SocketAddr,
}

type Living = watch::Receiver<Arc<Vec<gochat_coord::Member>>>;

/// One running member.
pub(super) struct Member {
    /// As coordination knows it.
    pub(super) name: String,
    /// Since when it is to go.
    pub(super) leaving: Option<Instant>,
    workload: Workload,
    index: u32,
    stop: Shutdown,
    health: Health,
}

impl Members {
    /// Nobody yet.
    pub(super) fn new(settings: Settings, engines: Engines, gateway_at: SocketAddr) -> Self {
        let all = [Workload::Repo, Workload::Logic, Workload::Task, Workload::Gateway];
        let living = all.map(|workload| (workload, engines.coord.members(workload))).into();
        let (running, tasks, gateways) = (Vec::new(), JoinSet::new(), Vec::new());
        Self { settings, engines, running, tasks, living, gateways, gateway_at }
    }

    /// Where clients connect, in the order of the gateways.
    pub(super) fn gateways(&self) -> &[SocketAddr] {
        &self.gateways
    }

    /// Those of a workload, the going ones included.
    pub(super) fn of(&self, workload: Workload) -> impl Iterator<Item = &Member> {
        self.running.iter().filter(move |member| member.workload == workload)
    }

    /// Those of a workload that have joined, as coordination knows them.
    pub(super) fn living(&self, workload: Workload) -> Arc<Vec<gochat_coord::Member>> {
        let living = self.living.iter().find(|(of, _)| *of == workload);
        living.map(|(_, living)| Arc::clone(&living.borrow())).unwrap_or_default()
    }

    /// How many of a workload are asked for.
    pub(super) fn asked(&self, workload: Workload) -> usize {
        self.of(workload).filter(|member| member.leaving.is_none()).count()
    }

    /// What keeps members that are not going from being ready.
    pub(super) fn failing(&self) -> Vec<String> {
        let mut failing = Vec::new();
        for Member { name, workload, health, .. } in self.running.iter().filter(|m| m.leaving.is_none()) {
            if !self.living(*workload).iter().any(|member| member.id.as_str() == name) {
                failing.push(format!("{name} has not joined"));
            }
            failing.extend(health.failing().into_iter().map(|(_, reason)| format!("{name}: {reason}")));
        }
        failing
    }

    /// Starts members until so many are asked for, or asks the last ones to go. A new gateway listens when this returns.
    pub(super) async fn scale(&mut self, workload: Workload, count: usize) -> anyhow::Result<()> {
        while self.asked(workload) < count {
            let free = (0..u32::MAX).find(|index| !self.of(workload).any(|member| member.index == *index));
            self.start(workload, free.context("no number is left for a member")?).await?;
        }
        while self.asked(workload) > count
            && let Some(last) = self
                .running
                .iter_mut()
                .filter(|member| member.workload == workload && member.leaving.is_none())
                .max_by_key(|member| member.index)
        {
            last.leaving = Some(Instant::now());
        }
        Ok(())
    }

    /// Stops a member that was asked to go: clients are sent away, what is in hand is finished.
    pub(super) fn stop(&self, name: &str) {
        if let Some(member) = self.running.iter().find(|member| member.name == name) {
            member.stop.begin();
        }
    }

    /// Waits for a member that fails, or ends though nobody stopped it; tells of those that were asked to go. Cancel-safe.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        while let Some(ended) = self.tasks.join_next().await {
            let (name, result) = match ended {
                Ok(ended) => ended,
                Err(error) => return anyhow::anyhow!("a member panicked: {error}"),
            };
            let member = self.remove(&name);
            match (result, member.and_then(|member| member.leaving)) {
                (Err(error), _) => return error.context(format!("{name} failed")),
                (Ok(()), None) => return anyhow::anyhow!("{name} ended by itself"),
                (Ok(()), Some(since)) => {
                    say::line(&format!(
                        "{name} has gone, {:.1} s after it was asked to",
                        since.elapsed().as_secs_f64()
                    ));
                }
            }
        }
        anyhow::anyhow!("all members have ended")
    }

    /// Stops gateways, logic and task, then repo: what is in hand needs it.
    pub(super) async fn end(mut self, front: Duration, back: Duration) {
        for (what, within, with_repo) in [("front", front, false), ("repo", back, true)] {
            let concerned = |member: &Member| with_repo || member.workload != Workload::Repo;
            self.running.iter().filter(|member| concerned(member)).for_each(|member| member.stop.begin());
            let all = async {
                while self.running.iter().any(concerned)
                    && let Some(ended) = self.tasks.join_next().await
                {
                    match ended {
                        Ok((name, result)) => {
                            self.remove(&name);
                            if let Err(error) = result {
                                tracing::warn!(name, error = format!("{error:#}"), "did not stop well");
                            }
                        }
                        Err(error) => tracing::warn!(%error, "did not stop well"),
                    }
                }
            };
            if tokio::time::timeout(within, all).await.is_err() {
                tracing::warn!(what, left = self.running.len(), ?within, "members did not stop in time");
            }
        }
    }

    fn remove(&mut self, name: &str) -> Option<Member> {
        let at = self.running.iter().position(|member| member.name == name)?;
        Some(self.running.swap_remove(at))
    }

    async fn start(&mut self, workload: Workload, index: u32) -> anyhow::Result<()> {
        let (stop, health) = (Shutdown::new(), Health::new());
        let name = format!("{workload}-{index}");
        let member = Member {
            name: name.clone(),
            leaving: None,
            workload,
            index,
            stop: stop.clone(),
            health: health.clone(),
        };
        let Engines { mq, db, cache, coord } = &self.engines;
        let (mq, coord) = (mq.clone(), coord.session());
        let (topics, slots) = (self.settings.topic_names(), self.settings.topics.slots()?);
        match workload {
            Workload::Repo => {
                let mut config = self.settings.repo.clone();
                (config.listen, config.member) = (INSIDE, name.clone());
                let deps = gochat_repo::Deps { db: db.clone(), coord, health };
                self.tasks.spawn(async move { (name, gochat_repo::run(config, deps, stop).await) });
            }
            Workload::Logic => {
                let mut config = self.settings.logic.clone();
                (config.listen, config.member) = (INSIDE, name.clone());
                let deps = gochat_logic::Deps { mq, topics, slots, cache: cache.clone(), coord, health };
                self.tasks.spawn(async move { (name, gochat_logic::run(config, deps, stop).await) });
            }
            Workload::Task => {
                let mut config = self.settings.task.clone();
                (config.listen, config.member) = (INSIDE, name.clone());
                let deps = gochat_task::Deps { mq, topics, slots, coord, health };
                self.tasks.spawn(async move { (name, gochat_task::run(config, deps, stop).await) });
            }
            Workload::Gateway => {
                let mut config = self.settings.gateway.clone();
                config.listen = self.gateway_address(index as usize)?;
                (config.grpc_listen, config.member) = (INSIDE, name.clone());
                let deps = gochat_gateway::Deps { mq, topics, slots, coord, health };
                let bound = gochat_gateway::Bound::bind(config, deps).await?;
                let address = bound.address()?;
                match self.gateways.get_mut(index as usize) {
                    Some(known) => *known = address,
                    None => self.gateways.push(address),
                }
                self.tasks.spawn(async move { (name, bound.serve(stop).await) });
            }
        }
        self.running.push(member);
        Ok(())
    }

    /// Where a gateway that has been here was, else the next port that is free.
    fn gateway_address(&self, index: usize) -> anyhow::Result<SocketAddr> {
        if self.gateway_at.port() == 0 {
            return Ok(self.gateway_at);
        }
        let wanted = match (self.gateways.get(index), self.gateways.last()) {
            (Some(known), _) => *known,
            (None, None) => self.gateway_at,
            (None, Some(last)) => {
                let port = last.port().checked_add(1).context("no port is left for the next gateway")?;
                SocketAddr::new(last.ip(), port)
            }
        };
        free_port(wanted)
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
