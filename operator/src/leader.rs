//! One operator at a time: a Lease, and a deadline after which nothing is written any more.
//!
//! # Timing
//! With the defaults: the leader renews every 2 s. A candidate takes over 15 s after it last saw the Lease change, by its
//! own clock (no two clocks are compared). The leader's term ends 10 s after it *sent* the last renewal that succeeded:
//! from then on its client refuses every write ([`crate::client`]), and a write under way is dropped. So 5 s lie between
//! the last write of the old leader and the first of the new one: for requests that are on the way.
//!
//! These are client-go's algorithm and figures. Why not one of the crates for it: they tell a leader that it was deposed,
//! and leave the deadline to it.
//!
//! # Caveats
//! - The clock is monotonic and stands still while a machine is suspended. A leader that wakes up believes in its term
//!   until its next renewal is refused, 2 s at most.
//! - A Lease is compared and swapped (`resourceVersion`), where everything else is applied: two candidates must not both win.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

/// How to be the only one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeaderConfig {
    /// False: this operator leads at once, and there must be no other.
    pub enabled: bool,
    /// Where the Lease is; empty: the operator's own namespace.
    pub namespace: String,
    /// The Lease's name.
    pub name: String,
    /// Who this is; empty: the pod's name, or outside of pods the host's with a random part.
    pub identity: String,
    /// After which a Lease that does not change is free, 1 s to 5 min.
    #[serde(with = "humantime_serde")]
    pub duration: Duration,
    /// After which a leader that can't renew stops writing; shorter than `duration`.
    #[serde(with = "humantime_serde")]
    pub renew_within: Duration,
    /// How often it renews; shorter than `renew_within`.
    #[serde(with = "humantime_serde")]
    pub retry: Duration,
}

impl Default for LeaderConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            namespace: String::new(),
            name: "gochat-operator".to_owned(),
            identity: String::new(),
            duration: Duration::from_secs(15),
            renew_within: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

impl LeaderConfig {
    /// What can't work, with the setting's name.
    pub fn validate(&self) -> Result<(), String> {
        if !(1..=300).contains(&self.duration.as_secs()) {
            return Err("leader.duration has to be 1s to 5min".to_owned());
        }
        if self.retry >= self.renew_within || self.renew_within >= self.duration {
            return Err(
                "leader.retry has to be shorter than leader.renew_within, and that than leader.duration"
                    .into(),
            );
        }
        Ok(())
    }
}

/// Until when this process may write. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Term(watch::Receiver<Option<Instant>>);

impl Term {
    /// Without end: for who is alone.
    pub fn unlimited() -> Self {
        let far = Instant::now() + Duration::from_secs(100 * 365 * 24 * 3600);
        Self(watch::channel(Some(far)).1)
    }

    /// How long it lasts at least; `None` when it is over.
    pub fn left(&self) -> Option<Duration> {
        let deadline = (*self.0.borrow())?;
        deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}

/// A candidate, or the leader.
#[derive(Debug)]
pub struct Elector {
    api: Api<Lease>,
    config: LeaderConfig,
    identity: String,
    deadline: watch::Sender<Option<Instant>>,
    /// As it was read or written last, by whom ever; and when it was seen to change.
    seen: Option<(Lease, Instant)>,
}

impl Elector {
    /// A candidate. `client` has to be one that is not guarded by the term that is to be won.
    pub fn new(client: Client, namespace: &str, identity: String, config: LeaderConfig) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, config, identity, deadline: watch::Sender::new(None), seen: None }
    }

    /// What guards the writes.
    pub fn term(&self) -> Term {
        Term(self.deadline.subscribe())
    }

    /// Until it leads. Cancel-safe.
    pub async fn acquire(&mut self) {
        let mut said = String::new();
        loop {
            let outcome = match self.attempt().await {
                Ok(None) => {
                    metrics::gauge!("gochat_operator_leader").set(1.0);
                    tracing::info!(identity = self.identity, "leading");
                    return;
                }
                Ok(Some(holder)) => format!("{holder} leads"),
                Err(error) => format!("the lease can't be had: {error}"),
            };
            if outcome != said {
                tracing::info!(identity = self.identity, why = outcome, "waiting to lead");
                said = outcome;
            }
            sleep(jittered(self.config.retry)).await;
        }
    }

    /// Renews until it is lost, and says why. Cancel-safe.
    pub async fn hold(&mut self) -> String {
        let why = loop {
            let Some(deadline) = *self.deadline.borrow() else { break "it was not held".to_owned() };
            if timeout_at(deadline, sleep(jittered(self.config.retry))).await.is_err() {
                break "it could not be renewed in time".to_owned();
            }
            match timeout_at(deadline, self.attempt()).await {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(holder))) => break format!("{holder} took it"),
                Ok(Err(error)) => tracing::warn!(%error, "the lease was not renewed"),
                Err(_) => break "it could not be renewed in time".to_owned(),
            }
        };
        self.deadline.send_replace(None);
        metrics::gauge!("gochat_operator_leader").set(0.0);
        tracing::warn!(identity = self.identity, why, "no longer leading");
        why
    }

    /// Gives it back, so that the next one need not wait. Only when nothing of this process writes any more.
    pub async fn release(self) {
        self.deadline.send_replace(None);
        metrics::gauge!("gochat_operator_leader").set(0.0);
        if let Err(error) = self.give_back().await {
            tracing::warn!(%error, "the lease was not released: the next leader waits for its end");
        }
    }

    async fn give_back(&self) -> kube::Result<()> {
        // Read anew: a renewal that was dropped half-way may have arrived.
        let Some(mut lease) = self.api.get_opt(&self.config.name).await? else { return Ok(()) };
        if holder(&lease) != self.identity {
            return Ok(());
        }
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        self.api.replace(&self.config.name, &PostParams::default(), &lease).await.map(drop)
    }

    /// Takes or renews it: `None`. Or says who holds it.
    async fn attempt(&mut self) -> kube::Result<Option<String>> {
        // From before the request: the others count from when they see its effect, which is later.
        let begun = Instant::now();
        let held = self.deadline.borrow().is_some();
        // A leader renews what it wrote last, without a look: a conflict tells it that somebody else did.
        let mine = if held { self.seen.take() } else { None };
        let current = match mine {
            Some((lease, _)) => Some(lease),
            None => self.look(begun).await?,
        };
        let Some(lease) = current else {
            let lease = Lease { metadata: self.metadata(), spec: Some(self.spec(None)) };
            return self.wrote(self.api.create(&PostParams::default(), &lease).await, begun).await;
        };
        if let Some(holder) = self.held_by_another(&lease, begun) {
            return Ok(Some(holder));
        }
        let renewed = Lease { metadata: lease.metadata.clone(), spec: Some(self.spec(lease.spec.as_ref())) };
        let written = self.api.replace(&self.config.name, &PostParams::default(), &renewed).await;
        if written.is_err() && held {
            // It may have arrived all the same; whether it did shows at the next attempt.
            self.seen = Some((lease, begun));
        }
        self.wrote(written, begun).await
    }

    async fn wrote(&mut self, written: kube::Result<Lease>, begun: Instant) -> kube::Result<Option<String>> {
        match written {
            Ok(lease) => {
                self.seen = Some((lease, begun));
                self.deadline.send_replace(Some(begun + self.config.renew_within));
                Ok(None)
            }
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                self.seen = None;
                let Some(lease) = self.look(begun).await? else { return Ok(Some("nobody".to_owned())) };
                let holder = holder(&lease).to_owned();
                // Our own write whose answer was lost.
                if holder == self.identity && self.deadline.borrow().is_some() {
                    return Ok(None);
                }
                Ok(Some(if holder.is_empty() { "nobody".to_owned() } else { holder }))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads it, and notes when it changed.
    async fn look(&mut self, now: Instant) -> kube::Result<Option<Lease>> {
        let read = self.api.get_opt(&self.config.name).await?;
        if let Some(lease) = &read {
            let version = |lease: &Lease| lease.metadata.resource_version.clone();
            let same = self.seen.as_ref().filter(|(seen, _)| version(seen) == version(lease));
            let since = same.map_or(now, |(_, since)| *since);
            self.seen = Some((lease.clone(), since));
        }
        Ok(read)
    }

    fn held_by_another(&self, lease: &Lease, now: Instant) -> Option<String> {
        let holder = holder(lease);
        if holder.is_empty() || holder == self.identity {
            return None;
        }
        let theirs = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or_default();
        let duration = Duration::from_secs(theirs.unsigned_abs().into()).max(self.config.duration);
        let since = self.seen.as_ref().map_or(now, |(_, since)| *since);
        (now.duration_since(since) < duration).then(|| holder.to_owned())
    }

    fn metadata(&self) -> ObjectMeta {
        ObjectMeta { name: Some(self.config.name.clone()), ..ObjectMeta::default() }
    }

    fn spec(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let mine = before.filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity));
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.config.duration.as_secs()).ok(),
            acquire_time: mine.and_then(|spec| spec.acquire_time.clone()).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if mine.is_some() { transitions } else { transitions.saturating_add(1) }),
            ..LeaseSpec::default()
        }
    }
}

fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

/// Candidates that began together should not stay together.
fn jittered(period: Duration) -> Duration {
    period.mul_f64(rand::rng().random_range(0.8..=1.0))
}

/// Who this process is to others.
pub fn identity(config: &LeaderConfig) -> String {
    if !config.identity.is_empty() {
        return config.identity.clone();
    }
    let host = hostname();
    if in_pod() {
        // The pod's name. A container that is started again is the same pod, and its former process is dead: it may go on
        // at once.
        return host;
    }
    format!("{host}_{:08x}", rand::rng().random::<u32>())
}

fn hostname() -> String {
    let from_env = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let from_kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    from_env.or_else(from_kernel).map_or_else(|| "operator".to_owned(), |name| name.trim().to_owned())
}

/// Whether this process runs in a pod.
pub fn in_pod() -> bool {
    std::path::Path::new("/var/run/secrets/kubernetes.io/serviceaccount/token").exists()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests {
    use super::*;

    /// A term that is over.
    pub(crate) fn over() -> Term {
        Term(watch::channel(None).1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_term_ends_at_its_deadline_without_anybody_saying_so() {
        let (deadline, receiver) = watch::channel(Some(Instant::now() + Duration::from_secs(10)));
        let term = Term(receiver);
        assert_eq!(term.left(), Some(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(term.left(), None);
        deadline.send_replace(Some(Instant::now() + Duration::from_secs(1)));
        assert!(term.left().is_some());
        assert!(Term::unlimited().left().is_some());
    }

    #[test]
    fn a_renewal_that_comes_after_the_end_is_refused_as_a_setting() {
        let config = LeaderConfig { renew_within: Duration::from_secs(15), ..LeaderConfig::default() };
        assert!(config.validate().unwrap_err().contains("leader.renew_within"));
        assert!(LeaderConfig::default().validate().is_ok());
    }
}
