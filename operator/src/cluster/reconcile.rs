//! One look at one cluster: what is there, what should be, what is done about it, what is true now.
//!
//! Level-triggered: it does not matter why it was called, nor what was done before.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gochat_chassis::resilience::Backoff;
use gochat_chassis::trace;
use gochat_crds::GoChatCluster;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::{Client, ResourceExt as _};
use parking_lot::Mutex;
use rand::RngExt as _;
use tokio::sync::Semaphore;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::dereference::KafkaFacts;
use super::leftovers::Leftovers;
use super::put_back::PutBack;
use super::validate::Defaults;
use super::{ClusterKey, apply, desired, finalizer, orphans, read, report, scale, secrets, signing_keys};
use crate::children::{Children, Watches};
use crate::events::Events;
use crate::kafka::Kafka;
use crate::live::{Brief, Live};
use crate::views::Views;

/// A look without a reason: what changes is seen by watches, this is for what none of them sees.
const SLOW: Duration = Duration::from_secs(600);
/// While a secret is missing: it need not be labelled, so no watch may see it come.
const MISSING: Duration = Duration::from_secs(10);
/// While the status tells what was put back, so that it goes in time.
const PUT_BACK: Duration = Duration::from_secs(60);
/// While the API server refuses an object.
const REFUSED: Duration = Duration::from_secs(30);
/// After an error.
const RETRY: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60) };

/// What a reconcile works with.
#[allow(missing_docs, reason = "each is named after its type")]
pub struct Context {
    pub client: Client,
    pub defaults: Defaults,
    pub deletion_deadline: Duration,
    pub children: Children,
    pub watches: Watches,
    pub kafka: Kafka,
    pub views: Views,
    pub live: Live,
    pub events: Events,
    pub leftovers: Leftovers,
    pub put_back: PutBack,
    /// So many at a time, over all namespaces.
    pub permits: Semaphore,
    /// How often each has failed in a row.
    pub failures: Mutex<HashMap<ClusterKey, u32>>,
    /// Those, by uid, whose namespace is being deleted: that never ends otherwise, so nothing is tried again.
    pub terminating: Mutex<HashMap<ClusterKey, String>>,
}

/// Why a reconcile could not be finished: the API server was away, slow, or another one wrote. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request failed.
    #[error("{what}: {source}")]
    Kube {
        /// What was asked.
        what: String,
        /// Why it failed.
        source: Box<kube::Error>,
    },
}

impl Error {
    pub(super) fn kube(what: String, source: kube::Error) -> Self {
        Self::Kube { what, source: Box::new(source) }
    }
}

/// Looks at a cluster.
pub async fn reconcile(cluster: Arc<GoChatCluster>, context: Arc<Context>) -> Result<Action, Error> {
    // Never closed.
    let _permit = context.permits.acquire().await;
    let begun = Instant::now();
    let key = ClusterKey::of(&cluster);
    context.leftovers.note(&key);
    // Each request of it is a part of the trace: [`crate::client`].
    let span = trace::begin(|| {
        let generation = cluster.metadata.generation.unwrap_or_default();
        tracing::info_span!(target: trace::TARGET, "reconcile", cluster = %key, generation, outcome = Empty)
    });
    // On the heap: sixteen KiB would be copied at every await of the controller.
    let result = Box::pin(look(&cluster, &context, &key)).instrument(span.clone()).await;
    let outcome = if result.is_ok() { "ok" } else { "error" };
    span.record("outcome", outcome);
    metrics::counter!("gochat_operator_reconciles_total", "outcome" => outcome).increment(1);
    metrics::histogram!("gochat_operator_reconcile_seconds").record(begun.elapsed().as_secs_f64());
    if result.is_ok() {
        context.failures.lock().remove(&key);
    }
    result
}

async fn look(cluster: &GoChatCluster, context: &Context, key: &ClusterKey) -> Result<Action, Error> {
    if cluster.metadata.deletion_timestamp.is_some() {
        return finalizer::finish(context, key, cluster).await;
    }
    let paused = super::status::is_paused(cluster);
    if !paused {
        finalizer::keep(context, key, cluster).await?;
    }
    let mut terminating = cluster.uid().is_some_and(|uid| context.terminating.lock().get(key) == Some(&uid));
    let keys = signing_keys::keep(context, key, cluster, !paused && !terminating).await?;
    terminating |= keys.terminating;
    let mut facts = read::read(context, key, cluster).await?;
    facts.signing_keys = keys.facts;
    facts.kafka = context.kafka.want(key, cluster, paused);
    let desired = desired(cluster, &facts, &context.defaults);
    if let (Ok(desired), false) = (&desired, terminating) {
        context.live.follow(Brief::of(cluster, desired, &facts, paused));
    }

    let mut outcome = apply::Outcome::default();
    let mut deleted = Vec::new();
    if let (Ok(desired), false, false) = (&desired, paused, terminating) {
        for (workload, fewer) in scale::shrinking(&desired.cluster, &facts) {
            context.live.choose(key, workload, fewer).await;
        }
        outcome = apply::apply(context, key, &desired.objects).await?;
        terminating = outcome.applied.terminating;
        if !terminating {
            deleted = orphans::delete(context, key, &desired.cluster.uid, &desired.objects).await?;
        }
    }
    if terminating {
        outcome.applied.terminating = true;
        // Nobody moves slots between pods that are all about to go.
        context.live.forget(key);
        context.terminating.lock().insert(key.clone(), cluster.uid().unwrap_or_default());
    }
    outcome.applied.put_back = context.put_back.note(key, &outcome.put_back, Instant::now());
    report::events(&context.events, cluster, keys.note, &outcome, &deleted);
    let now = Time(Timestamp::now());
    let mut status = super::status::status(cluster, desired.as_ref(), &facts, &outcome.applied, &now);
    let unasked = facts.kafka == KafkaFacts::Unknown;
    report::keep_unknown(cluster, &mut status, unasked, context.views.get(key).as_ref());
    report::scalers(context, key, &facts, &status).await?;
    report::status(context, key, cluster, status).await?;

    if outcome.changed && !terminating {
        // What was written is seen at once, and its echo from the watch is no news: so this is the one look at what became of it.
        return Ok(Action::requeue(Duration::ZERO));
    }
    let again = if terminating {
        SLOW
    } else if !outcome.applied.refused.is_empty() {
        REFUSED
    } else if secrets::missing(&cluster.spec, &facts).is_empty() {
        let slow = if outcome.applied.put_back.is_empty() { SLOW } else { PUT_BACK };
        keys.due.map_or(slow, |due| due.clamp(MISSING, slow))
    } else {
        MISSING
    };
    Ok(Action::requeue(again.mul_f64(rand::rng().random_range(0.8..=1.2))))
}

/// When to look again after an error.
#[allow(clippy::needless_pass_by_value, reason = "the controller gives them so")]
pub fn retry(cluster: Arc<GoChatCluster>, error: &Error, context: Arc<Context>) -> Action {
    let key = ClusterKey::of(&cluster);
    let mut failures = context.failures.lock();
    let attempt = failures.entry(key.clone()).or_default();
    let delay = RETRY.ceiling(*attempt) / 2 + RETRY.delay(*attempt) / 2;
    *attempt = attempt.saturating_add(1);
    tracing::warn!(cluster = %key, %error, attempt = *attempt, ?delay, "reconcile");
    Action::requeue(delay)
}
