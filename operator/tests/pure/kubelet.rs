//! A small deterministic Kubernetes: what the controllers of Deployments and Jobs and the kubelet do with what the operator
//! applies, one step at a time, so that a test can stop anywhere.

use std::collections::{BTreeMap, BTreeSet};

use gochat_crds::{GoChatCluster, ScaledWorkload};
use gochat_operator::cluster::dereference::Facts;
use gochat_operator::cluster::rollout::{self, Progress};
use gochat_operator::cluster::{Desired, desired};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::ResourceExt as _;
use kube::api::DynamicObject;

use super::samples::{defaults, facts};

/// An image whose pods never start.
pub(crate) const BROKEN: &str = "example.com/broken:1";
/// An image whose migration fails.
pub(crate) const UNMIGRATABLE: &str = "example.com/unmigratable:1";
/// Steps without a new pod after which a Deployment's deadline has passed.
const DEADLINE: u32 = 6;

type Deployments = BTreeMap<ScaledWorkload, Deployment>;

/// The pods of one Deployment: some of each template that it had.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pods {
    /// Newest last: template, pods, and how many of them are available.
    sets: Vec<(PodTemplateSpec, u32, u32)>,
    pub(crate) updated: u32,
    idle: u32,
    /// Whether the newest template has been on all pods once.
    rolled_out: bool,
}

impl Pods {
    pub(crate) fn available(&self) -> u32 {
        self.sets.iter().map(|(_, _, available)| available).sum()
    }

    /// Pods of an older template.
    pub(crate) fn old(&self) -> u32 {
        let all: u32 = self.sets.iter().map(|(_, pods, _)| pods).sum();
        all - self.updated
    }

    /// Whether pods that serve are being replaced, and that goes on.
    pub(crate) fn is_replaced(&self) -> bool {
        self.old() > 0 && self.available() > 0 && self.idle < DEADLINE
    }
}

/// What is there.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) cluster: GoChatCluster,
    pub(crate) facts: Facts,
    pub(crate) pods: BTreeMap<ScaledWorkload, Pods>,
    pub(crate) config_maps: BTreeMap<String, DynamicObject>,
}

fn image(template: &PodTemplateSpec) -> &str {
    template.spec.as_ref().unwrap().containers[0].image.as_deref().unwrap()
}

fn config_map(template: &PodTemplateSpec) -> &str {
    let volume = &template.spec.as_ref().unwrap().volumes.as_ref().unwrap()[0];
    let sources = volume.projected.as_ref().unwrap().sources.as_ref().unwrap();
    sources.iter().find_map(|source| source.config_map.as_ref()).map(|map| map.name.as_str()).unwrap()
}

impl World {
    pub(crate) fn new(cluster: GoChatCluster) -> Self {
        let facts = facts(&cluster);
        Self { cluster, facts, pods: BTreeMap::new(), config_maps: BTreeMap::new() }
    }

    pub(crate) fn pods(&self, workload: ScaledWorkload) -> Pods {
        self.pods.get(&workload).cloned().unwrap_or_default()
    }

    pub(crate) fn decide(&self) -> Desired {
        desired(&self.cluster, &self.facts, &defaults()).unwrap()
    }

    /// One reconcile that is killed after so many writes.
    pub(crate) fn reconcile(&mut self, killed_after: usize) {
        let decided = self.decide();
        let seen = self.facts.deployments.clone();
        for object in decided.objects.in_order().iter().take(killed_after) {
            match object.types.as_ref().unwrap().kind.as_str() {
                "Deployment" => self.apply_deployment(object.clone().try_parse().unwrap(), &seen),
                "Job" => {
                    let mut job: Job = object.clone().try_parse().unwrap();
                    job.status = None;
                    assert!(
                        self.facts.migrations.insert(job.name_any(), job).is_none(),
                        "a Job can't be changed"
                    );
                }
                "ConfigMap" => {
                    self.config_maps.insert(object.name_any(), object.clone());
                }
                _ => {}
            }
        }
        if killed_after >= decided.objects.in_order().len() {
            let applied: BTreeSet<_> =
                decided.objects.in_order().iter().map(kube::ResourceExt::name_any).collect();
            let spared = |kind, name: &str, labels: Option<&BTreeMap<String, String>>| {
                let component = labels.and_then(|labels| labels.get("gochat.io/workload"));
                applied.contains(name) || decided.objects.spares(kind, name, component.map(String::as_str))
            };
            self.config_maps.retain(|name, map| spared("ConfigMap", name, map.metadata.labels.as_ref()));
            self.facts.migrations.retain(|name, job| spared("Job", name, job.metadata.labels.as_ref()));
        }
        self.check();
    }

    fn apply_deployment(&mut self, mut wanted: Deployment, seen: &Deployments) {
        let name = &wanted.metadata.labels.as_ref().unwrap()["gochat.io/workload"];
        let workload = ScaledWorkload::ALL.into_iter().find(|w| w.as_str() == name).unwrap();
        let before = self.facts.deployments.get(&workload).cloned();
        let same = before.as_ref().is_some_and(|before| before.spec == wanted.spec);
        let generation = before.as_ref().and_then(|d| d.metadata.generation).unwrap_or(0);
        wanted.metadata.generation = Some(if same { generation } else { generation + 1 });
        wanted.status = before.as_ref().and_then(|d| d.status.clone());
        if let Some(before) = &before
            && before.spec.as_ref().unwrap().template != wanted.spec.as_ref().unwrap().template
        {
            self.assert_in_turn(workload, seen);
        }
        self.facts.deployments.insert(workload, wanted);
    }

    /// What a workload's change rests on.
    fn assert_in_turn(&self, workload: ScaledWorkload, seen: &Deployments) {
        let done = self.facts.migrations.values().filter(|job| finished(job, "Complete")).count();
        assert!(done > 0, "{workload:?} changes before the migration is done");
        for earlier in ScaledWorkload::ALL.into_iter().take_while(|earlier| *earlier != workload) {
            assert_eq!(self.pods(earlier).old(), 0, "{workload:?} changes while {earlier:?} does");
            let state = rollout::Pods::of(seen.get(&earlier));
            assert_eq!(state, rollout::Pods::Complete, "{workload:?} changes and {earlier:?} is not ready");
        }
    }

    /// What holds at all times.
    fn check(&self) {
        let replaced: Vec<_> =
            self.pods.iter().filter(|(_, pods)| pods.is_replaced()).map(|(w, _)| w).collect();
        let migrating = self.facts.migrations.values().filter(|job| running(job)).count();
        let established = self.pods.values().any(|pods| pods.available() > 0);
        assert!(replaced.len() <= 1, "{replaced:?} change at once");
        assert!(
            replaced.is_empty() || migrating == 0 || !established,
            "{replaced:?} change while a migration runs"
        );
        assert!(migrating <= 1, "two migrations run at once");
        for pods in self.pods.values() {
            for (template, count, _) in &pods.sets {
                let name = config_map(template);
                assert!(
                    *count == 0 || self.config_maps.contains_key(name),
                    "pods have lost their settings: {name}"
                );
            }
        }
    }

    /// The controllers and the kubelet take one step for one workload.
    pub(crate) fn step(&mut self, workload: ScaledWorkload) {
        let Some(deployment) = self.facts.deployments.get_mut(&workload) else { return };
        let spec = deployment.spec.as_ref().unwrap();
        let wanted = u32::try_from(spec.replicas.unwrap()).unwrap();
        let pods = self.pods.entry(workload).or_default();
        if pods.sets.last().is_none_or(|(template, ..)| *template != spec.template) {
            // A ReplicaSet of that template may be there already: it is the newest again.
            let known = pods.sets.iter().position(|(template, ..)| *template == spec.template);
            let set = known.map_or((spec.template.clone(), 0, 0), |at| pods.sets.remove(at));
            pods.updated = set.1;
            pods.sets.push(set);
            pods.idle = 0;
            pods.rolled_out = false;
        }
        let all: u32 = pods.sets.iter().map(|(_, count, _)| count).sum();
        let available = pods.available();
        let newest = pods.sets.last_mut().unwrap();
        let starts = image(&newest.0) != BROKEN;
        let mut moved = true;
        if newest.1 > wanted {
            newest.1 -= 1;
            newest.2 = newest.2.min(newest.1);
        } else if starts && newest.2 < newest.1 {
            newest.2 += 1;
        } else if newest.1 < wanted && all < wanted + 1 {
            newest.1 += 1;
        } else if all > newest.1 {
            // An old pod goes where enough others serve, one that doesn't serve in any case.
            let old = pods.sets.iter_mut().rev().skip(1).find(|(_, count, _)| *count > 0).unwrap();
            if old.2 < old.1 {
                old.1 -= 1;
            } else if available > wanted {
                old.1 -= 1;
                old.2 -= 1;
            } else {
                moved = false;
            }
        } else {
            moved = false;
        }
        pods.updated = pods.sets.last().unwrap().1;
        pods.sets.retain(|(template, count, _)| *count > 0 || *template == spec.template);
        let complete = pods.old() == 0 && pods.updated == wanted && pods.available() == wanted;
        let generation = deployment.metadata.generation;
        pods.rolled_out |= complete;
        pods.idle = if moved || complete { 0 } else { pods.idle + 1 };
        let reason = if pods.rolled_out {
            "NewReplicaSetAvailable"
        } else if pods.idle >= DEADLINE {
            "ProgressDeadlineExceeded"
        } else {
            "ReplicaSetUpdated"
        };
        let signed = |n: u32| Some(n.cast_signed());
        deployment.status = Some(DeploymentStatus {
            observed_generation: generation,
            replicas: signed(pods.sets.iter().map(|(_, count, _)| count).sum()),
            updated_replicas: signed(pods.updated),
            ready_replicas: signed(pods.available()),
            available_replicas: signed(pods.available()),
            conditions: Some(vec![DeploymentCondition {
                type_: "Progressing".to_owned(),
                status: if reason == "ProgressDeadlineExceeded" { "False" } else { "True" }.to_owned(),
                reason: Some(reason.to_owned()),
                message: Some(format!("ReplicaSet of {}: {reason}", workload.as_str())),
                ..DeploymentCondition::default()
            }]),
            ..DeploymentStatus::default()
        });
        self.check();
    }

    /// Jobs take one step each.
    pub(crate) fn step_jobs(&mut self) {
        for job in self.facts.migrations.values_mut() {
            let image = image(&job.spec.as_ref().unwrap().template);
            if image == BROKEN || finished(job, "Complete") || finished(job, "Failed") {
                continue;
            }
            let fails = image == UNMIGRATABLE;
            let was_running = running(job);
            let status = job.status.get_or_insert_with(JobStatus::default);
            if was_running {
                status.ready = None;
                status.conditions = Some(vec![JobCondition {
                    type_: if fails { "Failed" } else { "Complete" }.to_owned(),
                    status: "True".to_owned(),
                    reason: fails.then(|| "BackoffLimitExceeded".to_owned()),
                    ..JobCondition::default()
                }]);
            } else {
                status.ready = Some(1);
            }
        }
        self.check();
    }

    /// Everything takes one step.
    pub(crate) fn tick(&mut self) {
        self.step_jobs();
        for workload in ScaledWorkload::ALL {
            self.step(workload);
        }
    }

    /// Goes on until it holds.
    pub(crate) fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        for _ in 0..500 {
            if holds(self) {
                return;
            }
            self.reconcile(usize::MAX);
            self.tick();
        }
        panic!("it never comes to that: {:?}", self.decide().rollout);
    }

    /// Goes on until all is done.
    pub(crate) fn settle(&mut self) {
        self.until(|world| {
            let all = ScaledWorkload::ALL.into_iter().all(|workload| world.pods.contains_key(&workload));
            all && world.decide().rollout.progress == Progress::Done
        });
    }
}

fn finished(job: &Job, how: &str) -> bool {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == how && condition.status == "True")
}

fn running(job: &Job) -> bool {
    job.status.as_ref().and_then(|status| status.ready).unwrap_or(0) > 0
}
