//! What each condition of a cluster is, and why. Pure.

use gochat_core::Topics;
use gochat_crds::{ConditionType, RolloutStep, ScaledWorkload};

use super::dereference::{Facts, KafkaFacts};
use super::reasons::{Holds, Reason};
use super::rollout::{Pods, Progress};
use super::scale::{self, Decider};
use super::status::Applied;
use super::validate::{Invalid, ValidCluster};
use super::{Desired, Each, secrets};
use crate::live::Signal;

/// What a condition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether it holds.
    pub(super) holds: Holds,
    /// Why.
    pub(super) reason: Reason,
    /// For people: objects and numbers.
    pub(super) message: String,
}

fn verdict(holds: Holds, reason: Reason, message: impl Into<String>) -> Verdict {
    Verdict { holds, reason, message: message.into() }
}

/// What the conditions are made from.
pub(super) struct Picture<'a> {
    pub(super) desired: Result<&'a Desired, &'a Invalid>,
    pub(super) facts: &'a Facts,
    pub(super) applied: &'a Applied,
    pub(super) paused: bool,
    pub(super) pods: Each<Pods>,
    /// Ready pods, and how many there should be; `None` without a Deployment.
    pub(super) counts: Each<Option<(u32, u32)>>,
}

/// All of them, in the order in which they are written. `Reconciling` and `Stalled` are there only while they hold.
pub(super) fn all(picture: &Picture<'_>) -> Vec<(ConditionType, Verdict)> {
    let dependencies = match picture.desired {
        Ok(desired) => dependencies(&desired.cluster, picture.facts),
        Err(_) => verdict(Holds::Unknown, Reason::KafkaNotAsked, "not looked at: the spec can't be built"),
    };
    let progressing = progressing(picture);
    let degraded = with_put_back(picture, degraded(picture, &dependencies));
    let mut all = vec![
        (ConditionType::Ready, ready(picture, &dependencies)),
        (ConditionType::Progressing, progressing.clone()),
        (ConditionType::Degraded, degraded.clone()),
        (ConditionType::Balanced, balanced(picture.facts)),
        (ConditionType::ScalingActive, scaling_active(picture)),
        (ConditionType::DependenciesReady, dependencies),
    ];
    if progressing.holds == Holds::True {
        all.push((ConditionType::Reconciling, progressing));
    }
    let waits_for_people =
        [Reason::InvalidSpec, Reason::MigrationFailed, Reason::RolloutStopped, Reason::ApplyRefused];
    if degraded.holds == Holds::True && waits_for_people.contains(&degraded.reason) {
        all.push((ConditionType::Stalled, degraded));
    }
    all
}

fn ready(picture: &Picture<'_>, dependencies: &Verdict) -> Verdict {
    let absent: Vec<_> = named(&picture.counts, |count| count.is_none().then(String::new));
    if let (false, Err(invalid)) = (absent.is_empty(), picture.desired) {
        return verdict(Holds::False, Reason::InvalidSpec, invalid.to_string());
    }
    let short = named(&picture.counts, |count| {
        count
            .filter(|(ready, wanted)| ready < wanted)
            .map(|(ready, wanted)| format!("{ready} of {wanted} pods are ready"))
    });
    let missing = matches!(dependencies.reason, Reason::SecretMissing | Reason::SecretKeyMissing);
    if missing && !(absent.is_empty() && short.is_empty()) {
        return verdict(Holds::False, Reason::SecretMissing, dependencies.message.clone());
    }
    if !absent.is_empty() {
        let workloads: Vec<_> = absent.iter().map(|text| text.trim_end_matches(": ")).collect();
        return verdict(
            Holds::False,
            Reason::Creating,
            format!("no Deployment yet: {}", workloads.join(", ")),
        );
    }
    if !short.is_empty() {
        return verdict(Holds::False, Reason::PodsNotReady, short.join("; "));
    }
    let stopped = named(&picture.counts, |count| {
        count.filter(|(_, wanted)| *wanted == 0).map(|_| "0 pods are wanted".to_owned())
    });
    if !stopped.is_empty() {
        return verdict(Holds::False, Reason::Stopped, stopped.join("; "));
    }
    let numbers = named(&picture.counts, |count| count.map(|(ready, _)| ready.to_string()));
    verdict(Holds::True, Reason::AllServing, format!("ready pods: {}", numbers.join(", ")))
}

fn progressing(picture: &Picture<'_>) -> Verdict {
    let desired = match picture.desired {
        Ok(desired) => desired,
        Err(invalid) => return verdict(Holds::False, Reason::InvalidSpec, invalid.to_string()),
    };
    if picture.paused {
        return verdict(Holds::False, Reason::Paused, "gochat.io/paused is true");
    }
    if picture.applied.terminating {
        let text =
            format!("namespace {} is being deleted: nothing is made any more", desired.cluster.namespace);
        return verdict(Holds::False, Reason::NamespaceTerminating, text);
    }
    let absent = picture.pods.iter().any(|(_, pods)| *pods == Pods::Absent);
    match &desired.rollout.progress {
        Progress::Stopped { step: RolloutStep::Migrate, why } => {
            verdict(Holds::False, Reason::MigrationFailed, why)
        }
        Progress::Stopped { why, .. } => verdict(Holds::False, Reason::RolloutStopped, why),
        Progress::Moving { step: RolloutStep::Migrate, waiting } => {
            verdict(Holds::True, Reason::Migrating, waiting)
        }
        Progress::Moving { waiting, .. } if absent => verdict(Holds::True, Reason::Creating, waiting),
        Progress::Moving { waiting, .. } => verdict(Holds::True, Reason::RollingOut, waiting),
        Progress::Done => {
            let scaling: Vec<_> = ScaledWorkload::ALL
                .into_iter()
                .filter_map(|workload| {
                    let wanted = desired.cluster.workloads.get(workload).scale.replicas;
                    let deployment = picture.facts.deployments.get(&workload)?;
                    let has = deployment.spec.as_ref()?.replicas.and_then(|n| u32::try_from(n).ok());
                    let text = match picture.pods.get(workload) {
                        Pods::Scaling(text) => text.clone(),
                        _ if has != Some(wanted) => {
                            format!("{wanted} pods are wanted, {} were", has.unwrap_or(0))
                        }
                        _ => return None,
                    };
                    Some(format!("{}: {text}", workload.as_str()))
                })
                .collect();
            if scaling.is_empty() {
                verdict(
                    Holds::False,
                    Reason::Settled,
                    format!("all workloads run {}", desired.cluster.version),
                )
            } else {
                verdict(Holds::True, Reason::Scaling, scaling.join("; "))
            }
        }
    }
}

fn degraded(picture: &Picture<'_>, dependencies: &Verdict) -> Verdict {
    let desired = match picture.desired {
        Ok(desired) => desired,
        Err(invalid) => return verdict(Holds::True, Reason::InvalidSpec, invalid.to_string()),
    };
    match &desired.rollout.progress {
        Progress::Stopped { step: RolloutStep::Migrate, why } => {
            return verdict(Holds::True, Reason::MigrationFailed, why);
        }
        Progress::Stopped { why, .. } => return verdict(Holds::True, Reason::RolloutStopped, why),
        Progress::Moving { .. } | Progress::Done => {}
    }
    if !picture.applied.refused.is_empty() {
        return verdict(Holds::True, Reason::ApplyRefused, picture.applied.refused.join("; "));
    }
    if dependencies.holds == Holds::False && !dependencies.reason.passes() {
        return verdict(Holds::True, dependencies.reason, dependencies.message.clone());
    }
    let gone = named(&picture.pods, |pods| match pods {
        Pods::Unavailable(text) => Some(text.clone()),
        _ => None,
    });
    if !gone.is_empty() {
        return verdict(Holds::True, Reason::PodsNotReady, gone.join("; "));
    }
    verdict(Holds::False, Reason::AsExpected, "nothing is wrong")
}

/// What was put back is told whatever else is wrong.
fn with_put_back(picture: &Picture<'_>, degraded: Verdict) -> Verdict {
    if picture.applied.put_back.is_empty() {
        return degraded;
    }
    let put_back = picture.applied.put_back.join("; ");
    match degraded.reason {
        Reason::AsExpected => verdict(Holds::False, Reason::FieldsPutBack, put_back),
        _ => Verdict { message: format!("{}; put back: {put_back}", degraded.message), ..degraded },
    }
}

fn balanced(facts: &Facts) -> Verdict {
    match &facts.live.balance {
        None => verdict(Holds::Unknown, Reason::NoReports, "no pod has reported its load"),
        Some(balance) if balance.hottest <= balance.band => {
            verdict(Holds::True, Reason::WithinBand, &balance.text)
        }
        Some(balance) => verdict(Holds::False, Reason::OutsideBand, &balance.text),
    }
}

fn scaling_active(picture: &Picture<'_>) -> Verdict {
    let Ok(desired) = picture.desired else {
        return verdict(Holds::Unknown, Reason::NoReports, "not looked at: the spec can't be built");
    };
    let cluster = &desired.cluster;
    let scaled: Vec<_> = ScaledWorkload::ALL
        .into_iter()
        .filter(|workload| scale::bounds(&cluster.spec, *workload).is_some())
        .collect();
    if scaled.is_empty() {
        return verdict(Holds::False, Reason::FixedReplicas, "no workload has autoscaling");
    }
    let external: Vec<_> = scaled
        .iter()
        .filter_map(|workload| match &cluster.workloads.get(*workload).scale.decider {
            Decider::Operator => None,
            Decider::External(Some(manager)) => Some(format!("{}: by {manager}", workload.as_str())),
            Decider::External(None) => Some(format!("{}: mode External", workload.as_str())),
        })
        .collect();
    if external.len() == scaled.len() {
        return verdict(Holds::False, Reason::External, external.join("; "));
    }
    match &picture.facts.live.scaling {
        Signal::Active => verdict(Holds::True, Reason::Deciding, "the autoscaler decides"),
        Signal::Missing { why } => verdict(Holds::False, Reason::MissingSignals, why),
        Signal::Fixed => verdict(Holds::Unknown, Reason::NoReports, "no pod has reported its load"),
    }
}

fn dependencies(cluster: &ValidCluster, facts: &Facts) -> Verdict {
    let missing = secrets::missing(&cluster.spec, facts);
    if !missing.is_empty() {
        let whole = missing.iter().any(|missing| missing.key.is_none());
        let texts: Vec<_> = missing
            .iter()
            .map(|missing| match &missing.key {
                None => format!("secret {} ({}) is not there", missing.secret.name, missing.secret.field),
                Some(key) => {
                    format!("secret {} ({}) has no key {key}", missing.secret.name, missing.secret.field)
                }
            })
            .collect();
        let reason = if whole { Reason::SecretMissing } else { Reason::SecretKeyMissing };
        return verdict(Holds::False, reason, texts.join("; "));
    }
    if cluster.spec.auth.keys_secret.is_none() && facts.signing_keys.is_none() {
        return verdict(Holds::False, Reason::SigningKeysMissing, "the signing keys are not generated yet");
    }
    if cluster.spec.gateway.http_route.is_some() && !facts.capabilities.http_route {
        let text =
            "spec.gateway.httpRoute: the API server knows no HTTPRoute of gateway.networking.k8s.io/v1";
        return verdict(Holds::False, Reason::HttpRouteUnknown, text);
    }
    kafka(cluster, facts)
}

fn kafka(cluster: &ValidCluster, facts: &Facts) -> Verdict {
    let (found, refused) = match &facts.kafka {
        KafkaFacts::Unknown => {
            return verdict(Holds::Unknown, Reason::KafkaNotAsked, "Kafka has not been asked yet");
        }
        KafkaFacts::Away { why } => {
            let bootstrap = &cluster.spec.kafka.bootstrap;
            let text = format!("Kafka at {bootstrap} does not answer: {why}");
            return verdict(Holds::False, Reason::KafkaAway, text);
        }
        KafkaFacts::Seen { topics, refused } => (topics, refused),
    };
    let (mut missing, mut small, mut thin, mut large) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let replication = cluster.spec.kafka.topics.replication;
    for (name, wanted) in topics(cluster) {
        match found.get(&name) {
            None => missing.push(name),
            Some(topic) => {
                let has = topic.partitions;
                if has < wanted {
                    small.push(format!("{name} has {has} partitions of {wanted}"));
                } else if has > wanted {
                    large.push(format!("{name} has {has} partitions, of which {wanted} are used"));
                }
                if topic.replication < replication {
                    thin.push(format!("{name} has {} replicas of {replication}", topic.replication));
                }
            }
        }
    }
    if !refused.is_empty() {
        let texts: Vec<_> = refused.iter().map(|(topic, why)| format!("{topic}: {why}")).collect();
        return verdict(Holds::False, Reason::TopicsRefused, texts.join("; "));
    }
    if !missing.is_empty() {
        return verdict(
            Holds::False,
            Reason::TopicsMissing,
            format!("not there yet: {}", missing.join(", ")),
        );
    }
    if !small.is_empty() {
        return verdict(Holds::False, Reason::TopicTooSmall, small.join("; "));
    }
    if !thin.is_empty() {
        return verdict(Holds::False, Reason::TopicReplication, thin.join("; "));
    }
    let text = if large.is_empty() { "secrets and topics are there".to_owned() } else { large.join("; ") };
    verdict(Holds::True, Reason::AllThere, text)
}

/// The topics of a cluster, and how many partitions each should have at least.
fn topics(cluster: &ValidCluster) -> [(String, u32); 4] {
    let Topics { upstream, downstream, task, dead_letter } = Topics::new(&cluster.topic_prefix);
    let sizes = &cluster.spec.kafka.topics;
    [
        (upstream, sizes.upstream.partitions.min),
        (downstream, cluster.spec.gateway.shards),
        (task, sizes.task.partitions.min),
        (dead_letter, 1),
    ]
}

/// What there is to say of some workloads, each with its name.
fn named<T>(each: &Each<T>, say: impl Fn(&T) -> Option<String>) -> Vec<String> {
    each.iter().filter_map(|(workload, of)| Some(format!("{}: {}", workload.as_str(), say(of)?))).collect()
}
