//! The order of a change: migrate → repo → logic → task → gateway, one at a time. Pure, and from observed objects alone: an
//! operator that was killed anywhere goes on where it was.
//!
//! A workload whose template is not the wanted one is *due*. The first one that is due gets its turn when
//!
//! - the migration for this image is done,
//! - all workloads before it are complete: every pod is of the newest template, and available,
//! - no workload after it is in the middle of a change of its own. One that stopped in the middle is in no middle any more:
//!   or a bad version, once it got stuck, could never be followed by a good one.
//!
//! The others that are due are *held*: they keep the template that they have. A workload that isn't there yet has none to
//! keep; it is made at once, except a repo that would meet an older schema.

use std::collections::BTreeSet;

use gochat_crds::{RolloutStep, ScaledWorkload};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;

use super::Each;
use super::build::{Template, migration_name};
use super::dereference::Facts;
use super::validate::ValidCluster;
use crate::names::{self, MIGRATE};

/// What may be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutPlan {
    /// For each workload, which pod template its Deployment gets.
    pub turns: Each<Turn>,
    /// Whether the migration's Job is to be made.
    pub migrate: bool,
    /// How far it is.
    pub progress: Progress,
    /// The components that may have pods of an older template, which still read its settings.
    pub unsettled: BTreeSet<String>,
}

/// Which pod template a Deployment gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// The wanted one.
    #[default]
    Wanted,
    /// The one that it has, or none: it is not its turn yet.
    Held,
}

/// How far a change is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All workloads have the wanted template, on all pods.
    Done,
    /// Under way.
    Moving {
        /// Where.
        step: RolloutStep,
        /// What it waits for, with numbers.
        waiting: String,
    },
    /// It does not go on by itself.
    Stopped {
        /// Where.
        step: RolloutStep,
        /// Why.
        why: String,
    },
}

/// The step that changes a workload.
pub const fn step(workload: ScaledWorkload) -> RolloutStep {
    match workload {
        ScaledWorkload::Repo => RolloutStep::Repo,
        ScaledWorkload::Logic => RolloutStep::Logic,
        ScaledWorkload::Task => RolloutStep::Task,
        ScaledWorkload::Gateway => RolloutStep::Gateway,
    }
}

/// How a workload's pods are, by its Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pods {
    /// There is no Deployment.
    Absent,
    /// All are of the newest template, and available.
    Complete,
    /// All are of the newest template and were available once; some are not now.
    Unavailable(String),
    /// All are of the newest template; their number is not what it should be yet.
    Scaling(String),
    /// The newest template is on its way.
    Changing(String),
    /// It was on its way, and the Deployment's deadline has passed.
    Stuck(String),
}

impl Pods {
    /// How the pods of a Deployment are.
    pub fn of(deployment: Option<&Deployment>) -> Self {
        let Some(deployment) = deployment else { return Self::Absent };
        let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let status = deployment.status.clone().unwrap_or_default();
        let (all, updated) = (status.replicas.unwrap_or(0), status.updated_replicas.unwrap_or(0));
        let available = status.available_replicas.unwrap_or(0);
        if status.observed_generation < deployment.metadata.generation {
            return Self::Changing("the change has not been seen by the Deployment's controller".to_owned());
        }
        let progressing =
            status.conditions.iter().flatten().find(|condition| condition.type_ == "Progressing");
        let reason = progressing.and_then(|condition| condition.reason.as_deref()).unwrap_or_default();
        let rolled_out = reason == "NewReplicaSetAvailable";
        if all == updated && updated != wanted && (rolled_out || wanted == 0) {
            return Self::Scaling(format!("{wanted} pods are wanted, {all} are there"));
        }
        if all == updated && updated == wanted && available == wanted {
            return Self::Complete;
        }
        if all == updated && rolled_out {
            return Self::Unavailable(format!("{available} of {wanted} pods are available"));
        }
        let old = (all - updated).max(0);
        let numbers =
            format!("{updated} of {wanted} pods are new, {old} old ones are left, {available} are available");
        if reason == "ProgressDeadlineExceeded" {
            let said = progressing.and_then(|condition| condition.message.as_deref()).unwrap_or(reason);
            return Self::Stuck(format!("{numbers}: {said}"));
        }
        Self::Changing(numbers)
    }

    /// What there is to say while it is waited for.
    pub fn text(&self) -> &str {
        match self {
            Self::Absent => "there is no Deployment",
            Self::Complete => "all pods are new and available",
            Self::Unavailable(text) | Self::Scaling(text) | Self::Changing(text) | Self::Stuck(text) => text,
        }
    }
}

/// Whether no pod of a Deployment serves: then there is nothing that a change could harm.
fn serves_nobody(deployment: Option<&Deployment>) -> bool {
    let status = deployment.and_then(|deployment| deployment.status.as_ref());
    status.and_then(|status| status.available_replicas).unwrap_or(0) == 0
}

/// How a Job is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Run {
    Absent,
    Running,
    Done,
    Failed(String),
}

impl Run {
    fn of(job: Option<&Job>) -> Self {
        let Some(job) = job else { return Self::Absent };
        let conditions = || job.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let is = |type_: &str| conditions().find(|c| c.type_ == type_ && c.status == "True");
        if is("Complete").is_some() {
            return Self::Done;
        }
        match is("Failed") {
            Some(condition) => {
                let said = [condition.reason.as_deref(), condition.message.as_deref()];
                Self::Failed(said.into_iter().flatten().collect::<Vec<_>>().join(": "))
            }
            None => Self::Running,
        }
    }
}

/// The hash by which a Deployment's template is known.
pub(super) fn observed_hash(deployment: &Deployment) -> Option<&str> {
    let meta = deployment.spec.as_ref()?.template.metadata.as_ref()?;
    meta.annotations.as_ref()?.get(names::TEMPLATE_HASH).map(String::as_str)
}

/// Decides what may change now.
pub fn plan(cluster: &ValidCluster, templates: &Each<Template>, facts: &Facts) -> RolloutPlan {
    let pods = Each::make(|workload| Pods::of(facts.deployments.get(&workload)));
    let due = Each::make(|workload| {
        let deployment = facts.deployments.get(&workload);
        deployment.is_some_and(|found| observed_hash(found) != Some(&templates.get(workload).hash))
    });
    let migration = Migration::of(cluster, facts, &pods);
    let first = ScaledWorkload::ALL.into_iter().find(|workload| *due.get(*workload));
    let blocked = first.and_then(|first| migration.progress.clone().or_else(|| gate(first, facts, &pods)));
    let turns = Each::make(|workload| {
        let goes = if *due.get(workload) {
            first == Some(workload) && blocked.is_none()
        } else {
            // A repo that is made again in the middle of a change would meet the older schema.
            workload != ScaledWorkload::Repo || !migration.holds_repo(&pods)
        };
        if goes { Turn::Wanted } else { Turn::Held }
    });
    let going =
        || first.map(|first| Progress::Moving { step: step(first), waiting: "its turn has come".to_owned() });
    let progress = migration.progress.clone().or(blocked).or_else(going).unwrap_or_else(|| health(&pods));
    let settled = |workload: ScaledWorkload| !due.get(workload) && *pods.get(workload) == Pods::Complete;
    let workloads = ScaledWorkload::ALL.into_iter().filter(|workload| !settled(*workload));
    let mut unsettled: BTreeSet<String> = workloads.map(|workload| workload.as_str().to_owned()).collect();
    if migration.make || facts.migrations.values().any(|job| Run::of(Some(job)) == Run::Running) {
        unsettled.insert(MIGRATE.to_owned());
    }
    RolloutPlan { turns, migrate: migration.make, progress, unsettled }
}

/// What keeps a workload from its turn.
fn gate(due: ScaledWorkload, facts: &Facts, pods: &Each<Pods>) -> Option<Progress> {
    let order = ScaledWorkload::ALL;
    let mut before = order.into_iter().take_while(|workload| *workload != due);
    let incomplete = before.find(|workload| *pods.get(*workload) != Pods::Complete);
    if let Some(workload) = incomplete {
        return Some(waits_for(workload, pods.get(workload)));
    }
    let mut after = order.into_iter().skip_while(|workload| *workload != due).skip(1);
    let changing = after.find(|workload| is_changing(*workload, facts, pods));
    changing.map(|workload| waits_for(workload, pods.get(workload)))
}

fn is_changing(workload: ScaledWorkload, facts: &Facts, pods: &Each<Pods>) -> bool {
    matches!(pods.get(workload), Pods::Changing(_)) && !serves_nobody(facts.deployments.get(&workload))
}

fn waits_for(workload: ScaledWorkload, pods: &Pods) -> Progress {
    let text = format!("{}: {}", workload.as_str(), pods.text());
    match pods {
        Pods::Stuck(_) => Progress::Stopped { step: step(workload), why: text },
        _ => Progress::Moving { step: step(workload), waiting: text },
    }
}

/// Where all have the wanted template: how far its last change is.
fn health(pods: &Each<Pods>) -> Progress {
    let under_way = |pods: &Pods| matches!(pods, Pods::Changing(_) | Pods::Stuck(_) | Pods::Absent);
    let first = pods.iter().find(|(_, pods)| under_way(pods));
    first.map_or(Progress::Done, |(workload, pods)| waits_for(workload, pods))
}

/// The step before all others.
struct Migration {
    /// Whether its Job is to be made.
    make: bool,
    /// What it keeps the others from, where it is not done.
    progress: Option<Progress>,
}

impl Migration {
    fn of(cluster: &ValidCluster, facts: &Facts, pods: &Each<Pods>) -> Self {
        let name = migration_name(cluster);
        let moving = |waiting: String| Some(Progress::Moving { step: RolloutStep::Migrate, waiting });
        let (make, progress) = match Run::of(facts.migrations.get(&name)) {
            Run::Done => (false, None),
            Run::Running => (false, moving(format!("Job {name} runs"))),
            Run::Failed(why) => (
                false,
                Some(Progress::Stopped {
                    step: RolloutStep::Migrate,
                    why: format!("Job {name} failed ({why}): read its log; delete it to try again"),
                }),
            ),
            Run::Absent => {
                // Two migrations never run at once: not even one that could not start yet, and does after all.
                let unfinished = |(_, job): &(&String, &Job)| Run::of(Some(job)) == Run::Running;
                let other = facts.migrations.iter().find(unfinished);
                let mut workloads = ScaledWorkload::ALL.into_iter();
                let changing = workloads.find(|workload| is_changing(*workload, facts, pods));
                match (other, changing) {
                    (Some((other, job)), _) if at_work(job) => {
                        (false, moving(format!("Job {other}, of another version, still runs")))
                    }
                    (Some((other, _)), _) => (
                        false,
                        moving(format!("Job {other}, of another version, has not started and goes first")),
                    ),
                    (None, Some(workload)) => {
                        (false, moving(format!("{}: {}", workload.as_str(), pods.get(workload).text())))
                    }
                    (None, None) => (true, moving(format!("Job {name} is made"))),
                }
            }
        };
        Self { make, progress }
    }

    /// In a new cluster nothing can meet what it doesn't expect: all is made at once.
    fn holds_repo(&self, pods: &Each<Pods>) -> bool {
        let new = pods.iter().all(|(_, pods)| *pods == Pods::Absent);
        self.progress.is_some() && !new && pods.repo == Pods::Absent
    }
}

/// Whether a Job's pod runs. One that could not start, such as for an image that isn't there, is not waited for.
fn at_work(job: &Job) -> bool {
    let ready = job.status.as_ref().and_then(|status| status.ready).unwrap_or(0);
    ready > 0 && Run::of(Some(job)) == Run::Running
}

/// The migrations that have to stay: that for the wanted image, and one that runs.
pub(super) fn jobs_to_keep(cluster: &ValidCluster, facts: &Facts) -> BTreeSet<String> {
    let wanted = migration_name(cluster);
    let keep = |(name, job): (&String, &Job)| (*name == wanted || at_work(job)).then(|| name.clone());
    facts.migrations.iter().filter_map(keep).collect()
}
