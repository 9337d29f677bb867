//! The reasons of conditions: CamelCase, for machines and for searching; and what each means, and what to do about it.
//!
//! `docs/conditions.md` is made from [`TABLE`]: `UPDATE_DOCS=1 cargo test -p gochat-operator --test conditions` writes it,
//! and without the variable the test compares.

use std::fmt::Write as _;

use gochat_crds::ConditionType;

/// Why a condition is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the table says what each means")]
pub enum Reason {
    AllServing,
    AllThere,
    ApplyRefused,
    AsExpected,
    Creating,
    Deciding,
    External,
    FieldsPutBack,
    FixedReplicas,
    HttpRouteUnknown,
    InvalidSpec,
    KafkaAway,
    KafkaNotAsked,
    Migrating,
    MigrationFailed,
    MissingSignals,
    NamespaceTerminating,
    NoReports,
    OutsideBand,
    Paused,
    PodsNotReady,
    RollingOut,
    RolloutStopped,
    Scaling,
    SecretKeyMissing,
    SecretMissing,
    Settled,
    SigningKeysMissing,
    Stopped,
    TopicReplication,
    TopicTooSmall,
    TopicsMissing,
    TopicsRefused,
    WithinBand,
}

impl Reason {
    /// As it is written.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// Whether it only passes: what is on its way needs nobody.
    pub const fn passes(self) -> bool {
        matches!(
            self,
            Self::KafkaNotAsked | Self::TopicsMissing | Self::TopicTooSmall | Self::SigningKeysMissing
        )
    }
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "Kubernetes's own words")]
pub enum Holds {
    True,
    False,
    Unknown,
}

impl Holds {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What a condition can be, what that means, and what to do.
pub type Row = (ConditionType, Holds, Reason, &'static str, &'static str);

const NOTHING: &str = "Nothing.";
const FIX_SPEC: &str = "Change the field that the message names.";
const FIX_SECRET: &str =
    "Make the secret, or the key of it, that the message names; pods that wait for it start by themselves.";
const FIX_ROLLOUT: &str = "Look at the pods that the message names; then fix what they miss, or set `spec.version` (or what was changed) back or forward. The pods of the former template go on serving.";
const FIX_JOB: &str = "Read the Job's log. Then set `spec.version` back, or mend the database and delete the Job: it is made again.";
const FIX_APPLY: &str = "The message has the API server's words. A conflict names the manager that owns the field: let that one give it up. A quota or an admission policy: make room for it.";
const FIX_KAFKA: &str = "Look whether the brokers of `spec.kafka.bootstrap` can be reached and know the user; the operator tries again by itself, and pods wait by themselves.";
const FIX_TOPIC: &str = "The message has the broker's words: mostly a right that the user lacks, or fewer brokers than `spec.kafka.topics.replication`.";
const FIX_PODS: &str = "`kubectl describe pod` of those that the message counts.";

/// All of them.
pub const TABLE: &[Row] = {
    use ConditionType::{
        Balanced, Degraded, DependenciesReady, Progressing, Ready, Reconciling, ScalingActive, Stalled,
    };
    use Holds::{False, True, Unknown};
    use Reason as R;
    &[
        (Ready, True, R::AllServing, "Every workload has as many ready pods as it should.", NOTHING),
        (
            Ready,
            False,
            R::Creating,
            "Not every workload has a Deployment yet.",
            "Wait; `Progressing` says what for.",
        ),
        (
            Ready,
            False,
            R::PodsNotReady,
            "Fewer pods are ready than should be; the message has the numbers.",
            FIX_PODS,
        ),
        (Ready, False, R::SecretMissing, "Pods can't start without a secret.", FIX_SECRET),
        (Ready, False, R::InvalidSpec, "The spec can't be built, and nothing runs.", FIX_SPEC),
        (
            Ready,
            False,
            R::Stopped,
            "A workload has no pods because it should have none.",
            "Raise its `replicas` to start it.",
        ),
        (Progressing, True, R::Creating, "The workloads are made for the first time.", NOTHING),
        (
            Progressing,
            True,
            R::Migrating,
            "The database's schema is brought to the version.",
            "Nothing; a Job that waits for a database goes on by itself.",
        ),
        (
            Progressing,
            True,
            R::RollingOut,
            "Pods are made anew, one workload after another; the message says which, and what it waits for.",
            NOTHING,
        ),
        (Progressing, True, R::Scaling, "A workload gets more pods or fewer.", NOTHING),
        (Progressing, False, R::Settled, "Nothing is being changed.", NOTHING),
        (
            Progressing,
            False,
            R::Paused,
            "The annotation `gochat.io/paused` is `true`: the operator looks and tells, and changes nothing.",
            "Remove the annotation to go on.",
        ),
        (
            Progressing,
            False,
            R::NamespaceTerminating,
            "The namespace is being deleted: the API server takes nothing new in it, and the operator does not try.",
            "Nothing, if it is to go. What holds it up: `kubectl get namespace -o yaml` has it in its conditions.",
        ),
        (Progressing, False, R::InvalidSpec, "The spec can't be built; what runs stays as it is.", FIX_SPEC),
        (
            Progressing,
            False,
            R::MigrationFailed,
            "The migration's Job failed; what runs stays as it is.",
            FIX_JOB,
        ),
        (
            Progressing,
            False,
            R::RolloutStopped,
            "The new pods of a workload did not become ready in ten minutes.",
            FIX_ROLLOUT,
        ),
        (Degraded, False, R::AsExpected, "Nothing is wrong.", NOTHING),
        (
            Degraded,
            False,
            R::FieldsPutBack,
            "In the last minutes somebody wrote into fields of the operator's, and it put them back; the message names the object, the other manager and the fields.",
            "Have that manager leave the field alone: change the GoChatCluster instead, or use `pod.overrides`. The reason goes ten minutes after the last time.",
        ),
        (Degraded, True, R::InvalidSpec, "The spec can't be built.", FIX_SPEC),
        (Degraded, True, R::MigrationFailed, "The migration's Job failed.", FIX_JOB),
        (
            Degraded,
            True,
            R::RolloutStopped,
            "The new pods of a workload did not become ready in ten minutes.",
            FIX_ROLLOUT,
        ),
        (Degraded, True, R::ApplyRefused, "The API server refuses an object.", FIX_APPLY),
        (Degraded, True, R::SecretMissing, "A secret that the spec refers to is not there.", FIX_SECRET),
        (Degraded, True, R::SecretKeyMissing, "A secret lacks a key.", FIX_SECRET),
        (Degraded, True, R::KafkaAway, "Kafka does not answer the operator.", FIX_KAFKA),
        (Degraded, True, R::TopicsRefused, "The broker refuses to create or grow a topic.", FIX_TOPIC),
        (
            Degraded,
            True,
            R::TopicReplication,
            "A topic has fewer replicas than `spec.kafka.topics.replication`.",
            "Reassign its partitions with Kafka's tools, or lower the number.",
        ),
        (
            Degraded,
            True,
            R::HttpRouteUnknown,
            "`spec.gateway.httpRoute` is given, and the API server has no such kind.",
            "Install the Gateway API, or use `spec.gateway.ingress`.",
        ),
        (Degraded, True, R::PodsNotReady, "Pods that served don't any more.", FIX_PODS),
        (Balanced, True, R::WithinBand, "No pod carries more than its share and the band.", NOTHING),
        (
            Balanced,
            False,
            R::OutsideBand,
            "A pod carries more than its share and the band.",
            "Nothing in mode `Auto`: slots move when it lasts. In mode `Manual`: make a GoChatRebalance.",
        ),
        (
            Balanced,
            Unknown,
            R::NoReports,
            "No pod has reported its load yet.",
            "Nothing, while pods start. Later: look whether the operator may reach the pods' port `grpc`.",
        ),
        (
            ScalingActive,
            True,
            R::Deciding,
            "The autoscaler decides; the last reasons are in `status.workloads`.",
            NOTHING,
        ),
        (ScalingActive, False, R::FixedReplicas, "No workload has `autoscaling`.", NOTHING),
        (
            ScalingActive,
            False,
            R::External,
            "Somebody else scales every workload that has `autoscaling`.",
            "To take one back: `kubectl patch gcs NAME --type merge -p '{\"spec\":{\"mode\":\"Auto\"}}'`.",
        ),
        (
            ScalingActive,
            False,
            R::MissingSignals,
            "A measurement is missing: the number of pods is held.",
            "The message says which. Look whether the pods report.",
        ),
        (ScalingActive, Unknown, R::NoReports, "No pod has reported yet.", "As of `Balanced`."),
        (DependenciesReady, True, R::AllThere, "Secrets and topics are there.", NOTHING),
        (
            DependenciesReady,
            False,
            R::SecretMissing,
            "A secret that the spec refers to is not there.",
            FIX_SECRET,
        ),
        (DependenciesReady, False, R::SecretKeyMissing, "A secret lacks a key.", FIX_SECRET),
        (
            DependenciesReady,
            False,
            R::SigningKeysMissing,
            "The signing keys are not generated yet.",
            "Nothing, unless the cluster is paused.",
        ),
        (
            DependenciesReady,
            False,
            R::HttpRouteUnknown,
            "`spec.gateway.httpRoute` is given, and the API server has no such kind.",
            "Install the Gateway API, or use `spec.gateway.ingress`.",
        ),
        (
            DependenciesReady,
            False,
            R::KafkaAway,
            "Kafka does not answer the operator. Nothing is deleted or scaled down meanwhile.",
            FIX_KAFKA,
        ),
        (
            DependenciesReady,
            False,
            R::TopicsRefused,
            "The broker refuses to create or grow a topic.",
            FIX_TOPIC,
        ),
        (DependenciesReady, False, R::TopicsMissing, "Topics are being created.", NOTHING),
        (DependenciesReady, False, R::TopicTooSmall, "Topics are being grown.", NOTHING),
        (
            DependenciesReady,
            False,
            R::TopicReplication,
            "A topic has fewer replicas than `spec.kafka.topics.replication`.",
            "Reassign its partitions with Kafka's tools, or lower the number.",
        ),
        (DependenciesReady, Unknown, R::KafkaNotAsked, "The operator has not asked Kafka yet.", NOTHING),
        (Reconciling, True, R::Creating, "As of `Progressing`.", NOTHING),
        (Reconciling, True, R::Migrating, "As of `Progressing`.", NOTHING),
        (Reconciling, True, R::RollingOut, "As of `Progressing`.", NOTHING),
        (Reconciling, True, R::Scaling, "As of `Progressing`.", NOTHING),
        (Stalled, True, R::InvalidSpec, "As of `Degraded`.", FIX_SPEC),
        (Stalled, True, R::MigrationFailed, "As of `Degraded`.", FIX_JOB),
        (Stalled, True, R::RolloutStopped, "As of `Degraded`.", FIX_ROLLOUT),
        (Stalled, True, R::ApplyRefused, "As of `Degraded`.", FIX_APPLY),
    ]
};

/// `docs/conditions.md`.
pub fn page() -> String {
    let mut page = "\
# Conditions of a GoChatCluster

Made from `operator/src/cluster/reasons.rs`; don't edit. `kubectl describe gcc NAME` shows them with messages that name objects
and numbers. `kubectl wait gcc NAME --for=condition=Ready` waits for a cluster; Argo CD and Flux go by `Reconciling` and
`Stalled`, which are there only while they are true.
"
    .to_owned();
    let mut last = None;
    for (type_, holds, reason, meaning, help) in TABLE {
        if last != Some(type_) {
            let head = "| status | reason | what it means | what to do |\n| --- | --- | --- | --- |";
            let _ = write!(page, "\n## {}\n\n{head}\n", type_.as_str());
            last = Some(type_);
        }
        let _ = writeln!(page, "| {} | `{reason:?}` | {meaning} | {help} |", holds.as_str());
    }
    page
}
