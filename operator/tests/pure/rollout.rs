//! Whose turn it is.

use std::sync::LazyLock;

use gochat_crds::{RolloutStep, ScaledWorkload};
use gochat_operator::cluster::rollout::{Pods, Progress, Turn};
use gochat_operator::names;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};
use proptest::prelude::*;

use super::kubelet::{BROKEN, UNMIGRATABLE, World};
use super::samples::{MINIMAL, cluster, with};

fn settled() -> World {
    static WORLD: LazyLock<World> = LazyLock::new(|| {
        let mut world = World::new(cluster(MINIMAL));
        world.settle();
        world
    });
    WORLD.clone()
}

fn images(world: &World) -> Vec<String> {
    ScaledWorkload::ALL
        .into_iter()
        .map(|workload| {
            let spec = world.facts.deployments[&workload].spec.as_ref().unwrap();
            spec.template.spec.as_ref().unwrap().containers[0].image.clone().unwrap()
        })
        .collect()
}

#[test]
fn a_new_cluster_is_made_at_once() {
    let mut world = World::new(cluster(MINIMAL));
    world.reconcile(usize::MAX);
    assert_eq!(world.facts.deployments.len(), 4);
    assert_eq!(world.facts.migrations.len(), 1);
    world.settle();
}

/// By which the templates of repo, logic, task and gateway are known.
fn hashes(world: &World) -> Vec<String> {
    let hash = |workload| {
        let spec = world.facts.deployments[&workload].spec.as_ref().unwrap();
        spec.template.metadata.as_ref().unwrap().annotations.as_ref().unwrap()[names::TEMPLATE_HASH].clone()
    };
    ScaledWorkload::ALL.into_iter().map(hash).collect()
}

#[test]
fn a_changed_password_restarts_what_reads_it_one_workload_at_a_time() {
    let mut world = settled();
    let before = hashes(&world);
    let (mysql, redis) =
        (&world.cluster.spec.mysql.secret, &world.cluster.spec.redis.as_ref().unwrap().secret);
    for secret in [mysql.clone(), redis.clone()] {
        let facts = world.facts.secrets.get_mut(&secret.name).unwrap();
        facts.digests.insert(secret.key, 8);
        facts.keys.insert("that-nobody-reads".to_owned());
    }
    let mut order = Vec::new();
    for _ in 0..200 {
        world.reconcile(usize::MAX);
        let new: Vec<_> = hashes(&world).iter().zip(&before).map(|(now, before)| now != before).collect();
        if order.last() != Some(&new) {
            order.push(new);
        }
        world.tick();
    }
    let [none, repo, logic] = [[false; 4], [true, false, false, false], [true, true, false, false]];
    assert_eq!(order.iter().filter(|new| **new != none).collect::<Vec<_>>(), [&repo, &logic]);
    assert_eq!(world.decide().rollout.progress, Progress::Done);
    assert_eq!(world.facts.migrations.len(), 1, "another password is no other database");
}

#[test]
fn a_secret_that_is_gone_restarts_nothing() {
    let mut world = settled();
    let before = hashes(&world);
    world.facts.secrets.clear();
    for _ in 0..20 {
        world.reconcile(usize::MAX);
        world.tick();
    }
    assert_eq!(hashes(&world), before, "pods that are made anew now could not start");
}

#[test]
fn a_version_goes_from_the_database_to_the_clients() {
    let mut world = settled();
    world.cluster.spec.image = Some("example.com/gochat:2".to_owned());
    let mut order = Vec::new();
    world.until(|world| world.decide().rollout.migrate);
    for _ in 0..200 {
        world.reconcile(usize::MAX);
        let new: Vec<_> = images(&world).iter().map(|image| image.ends_with(":2")).collect();
        if order.last() != Some(&new) {
            order.push(new);
        }
        world.tick();
    }
    let expected: Vec<Vec<bool>> = (0..=4).map(|n| (0..4).map(|i| i < n).collect()).collect();
    assert_eq!(order, expected);
    assert_eq!(world.decide().rollout.progress, Progress::Done);
    assert_eq!(world.facts.migrations.len(), 1, "the Job of the version before is gone");
    assert_eq!(world.config_maps.len(), 4, "and so are the settings that nobody reads");
}

#[test]
fn a_failed_migration_stops_before_any_pod_is_touched() {
    let mut world = settled();
    let before = images(&world);
    world.cluster.spec.image = Some(UNMIGRATABLE.to_owned());
    let stopped = |world: &World| matches!(world.decide().rollout.progress, Progress::Stopped { .. });
    world.until(stopped);
    let Progress::Stopped { step, why } = world.decide().rollout.progress else { panic!() };
    assert_eq!(step, RolloutStep::Migrate);
    assert!(why.contains("failed (BackoffLimitExceeded)") && why.contains("delete it to try again"), "{why}");
    assert_eq!(images(&world), before);
    world.cluster.spec.image = Some("example.com/gochat:3".to_owned());
    world.settle();
    assert!(images(&world).iter().all(|image| image.ends_with(":3")));
}

#[test]
fn pods_that_do_not_start_stop_the_change_and_leave_the_others_serving() {
    let mut world = settled();
    // Only the pods are broken: the migration of this image runs.
    world.cluster.spec.logic.pod.overrides =
        Some(serde_json::json!({ "spec": { "containers": [{ "name": "logic", "image": BROKEN }] } }));
    world.cluster.spec.image = Some("example.com/gochat:2".to_owned());
    world.until(|world| matches!(world.decide().rollout.progress, Progress::Stopped { .. }));
    let Progress::Stopped { step, why } = world.decide().rollout.progress else { panic!() };
    assert_eq!(step, RolloutStep::Logic);
    assert!(why.starts_with("logic: 1 of 2 pods are new, 2 old ones are left, 2 are available"), "{why}");
    assert!(world.pods.values().all(|pods| pods.available() >= 2));
    assert!(images(&world)[2..].iter().all(|image| image.ends_with(":0.1.0")), "task and gateway are held");
    world.cluster.spec.logic.pod.overrides = None;
    world.settle();
    assert!(images(&world).iter().all(|image| image.ends_with(":2")));
}

#[test]
fn a_first_image_that_does_not_exist_can_be_corrected_at_once() {
    let mut world = World::new(with(&format!("image: '{BROKEN}'")));
    for _ in 0..3 {
        world.reconcile(usize::MAX);
        world.tick();
    }
    world.cluster.spec.image = Some("example.com/gochat:2".to_owned());
    world.reconcile(usize::MAX);
    world.reconcile(usize::MAX);
    assert!(world.decide().rollout.progress != Progress::Done);
    assert!(world.facts.migrations.keys().count() == 1, "the Job that could not start is not waited for");
    world.settle();
}

#[test]
fn a_migration_that_has_not_started_is_gone_before_the_next_is_made() {
    let mut world = settled();
    world.cluster.spec.image = Some("example.com/gochat:2".to_owned());
    world.reconcile(usize::MAX);
    world.cluster.spec.image = Some("example.com/gochat:3".to_owned());
    // Killed before it deletes what is not wanted any more.
    let last = world.decide().objects.in_order().len() - 1;
    world.reconcile(last);
    world.step_jobs();
    world.settle();
    assert!(images(&world).iter().all(|image| image.ends_with(":3")));
}

#[test]
fn settings_of_one_workload_make_no_other_ones_pods_anew() {
    let mut world = settled();
    world.cluster.spec.limits.connections = Some(5_000);
    let decided = world.decide();
    assert!(!decided.rollout.migrate);
    let before = world.facts.deployments.clone();
    world.reconcile(usize::MAX);
    let changed: Vec<_> = ScaledWorkload::ALL
        .into_iter()
        .filter(|w| world.facts.deployments[w].spec != before[w].spec)
        .collect();
    assert_eq!(changed, [ScaledWorkload::Gateway]);
}

#[test]
fn a_repo_that_is_deleted_in_the_middle_does_not_meet_the_older_schema() {
    let mut world = settled();
    world.cluster.spec.image = Some("example.com/gochat:2".to_owned());
    world.reconcile(usize::MAX);
    world.facts.deployments.remove(&ScaledWorkload::Repo);
    world.pods.remove(&ScaledWorkload::Repo);
    world.reconcile(usize::MAX);
    assert!(!world.facts.deployments.contains_key(&ScaledWorkload::Repo));
    world.settle();
}

#[test]
fn scaling_is_no_change_of_pods() {
    let mut world = settled();
    world.cluster.spec.task.replicas = Some(4);
    world.reconcile(usize::MAX);
    world.step(ScaledWorkload::Task);
    let pods = Pods::of(world.facts.deployments.get(&ScaledWorkload::Task));
    assert!(matches!(pods, Pods::Scaling(_)), "{pods:?}");
    assert_eq!(world.decide().rollout.progress, Progress::Done);
}

/// What a person or the world does.
#[derive(Clone, Debug)]
enum Event {
    Image(&'static str),
    Connections(u32),
    Replicas(u32),
    Reconcile { killed_after: usize },
    Step(ScaledWorkload),
    Jobs,
    Tick,
}

fn event() -> impl Strategy<Value = Event> {
    let image = prop::sample::select(vec!["a:1", "a:2", "a:3", BROKEN, UNMIGRATABLE]);
    prop_oneof![
        1 => image.prop_map(Event::Image),
        1 => (1_u32..5).prop_map(|n| Event::Connections(n * 1_000)),
        1 => (0_u32..4).prop_map(Event::Replicas),
        8 => (0_usize..45).prop_map(|killed_after| Event::Reconcile { killed_after }),
        6 => prop::sample::select(ScaledWorkload::ALL.to_vec()).prop_map(Event::Step),
        3 => Just(Event::Jobs),
        3 => Just(Event::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]

    /// The rules themselves are asserted by the world, at each of its steps.
    #[test]
    fn an_operator_that_is_killed_anywhere_changes_one_workload_at_a_time_and_comes_to_an_end(
        events in prop::collection::vec(event(), 30..90),
    ) {
        let mut world = settled();
        for event in events {
            match event {
                Event::Image(image) => world.cluster.spec.image = Some(image.to_owned()),
                Event::Connections(n) => world.cluster.spec.limits.connections = Some(n),
                Event::Replicas(n) => world.cluster.spec.task.replicas = Some(n),
                Event::Reconcile { killed_after } => world.reconcile(killed_after),
                Event::Step(workload) => world.step(workload),
                Event::Jobs => world.step_jobs(),
                Event::Tick => world.tick(),
            }
        }
        world.cluster.spec.image = Some("example.com/good:9".to_owned());
        world.settle();
        prop_assert!(images(&world).iter().all(|image| image == "example.com/good:9"));
        // And then nothing is left to do.
        let before = world.clone();
        world.reconcile(usize::MAX);
        prop_assert_eq!(&world.facts.deployments, &before.facts.deployments);
        prop_assert_eq!(world.config_maps.len(), 4);
    }

    #[test]
    fn from_any_state_at_most_one_workload_gets_its_turn(
        states in prop::collection::vec((any::<bool>(), 0..4_i32, 0..4_i32, 0..4_i32, any::<bool>(), 0..3_u8), 4),
    ) {
        let mut world = settled();
        for (workload, (outdated, all, updated, available, unseen, progress)) in ScaledWorkload::ALL.into_iter().zip(states) {
            let deployment = world.facts.deployments.get_mut(&workload).unwrap();
            if outdated {
                let template = &mut deployment.spec.as_mut().unwrap().template;
                let annotations = template.metadata.as_mut().unwrap().annotations.as_mut().unwrap();
                annotations.insert("gochat.io/template-hash".to_owned(), "0000000000".to_owned());
            }
            let reason = ["NewReplicaSetAvailable", "ReplicaSetUpdated", "ProgressDeadlineExceeded"][usize::from(progress)];
            deployment.metadata.generation = Some(5);
            deployment.status = Some(DeploymentStatus {
                observed_generation: Some(if unseen { 4 } else { 5 }),
                replicas: Some(all),
                updated_replicas: Some(updated.min(all)),
                available_replicas: Some(available.min(all)),
                conditions: Some(vec![DeploymentCondition {
                    type_: "Progressing".to_owned(),
                    status: if progress == 2 { "False" } else { "True" }.to_owned(),
                    reason: Some(reason.to_owned()),
                    ..DeploymentCondition::default()
                }]),
                ..DeploymentStatus::default()
            });
        }
        let plan = world.decide().rollout;
        let outdated = |d: &Deployment| {
            let annotations = d.spec.as_ref().unwrap().template.metadata.as_ref().unwrap().annotations.clone();
            annotations.unwrap()["gochat.io/template-hash"] == "0000000000"
        };
        let going: Vec<_> = ScaledWorkload::ALL
            .into_iter()
            .filter(|w| outdated(&world.facts.deployments[w]) && *plan.turns.get(*w) == Turn::Wanted)
            .collect();
        prop_assert!(going.len() <= 1, "{:?}", going);
        let Some(going) = going.first() else { return Ok(()) };
        let mut before = true;
        for workload in ScaledWorkload::ALL {
            let deployment = &world.facts.deployments[&workload];
            let pods = Pods::of(Some(deployment));
            if workload == *going {
                before = false;
            } else if before {
                prop_assert_eq!(pods, Pods::Complete);
            } else {
                let serves = deployment.status.as_ref().unwrap().available_replicas != Some(0);
                prop_assert!(!(matches!(pods, Pods::Changing(_)) && serves), "{:?} while {:?}", going, workload);
            }
        }
    }
}
