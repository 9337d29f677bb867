//! The last step: what was done becomes Events, what is true becomes status. Nothing is written that is there already.

use gochat_crds::{ClusterStatus, ConditionType, GoChatCluster, GoChatScaler, ScaledWorkload, ScalerStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::ClusterKey;
use super::apply::Outcome;
use super::dereference::Facts;
use super::reconcile::{Context, Error};
use crate::events::Events;
use crate::live::LiveView;
use crate::names;

/// Tells what was done.
pub(super) fn events(
    events: &Events,
    cluster: &GoChatCluster,
    keys: Option<String>,
    outcome: &Outcome,
    deleted: &[String],
) {
    if let Some(note) = keys {
        events.normal(cluster, "SigningKeys", note);
    }
    for note in &outcome.put_back {
        events.warning(cluster, "PutBack", note);
    }
    for note in &outcome.applied.refused {
        events.warning(cluster, "Refused", note);
    }
    for note in deleted {
        events.normal(cluster, "Deleted", format!("{note}: not wanted any more"));
    }
}

/// An operator that was just started has asked neither Kafka nor the pods: what the status says of them stays until it has.
/// And the numbers that it then finds are no news while they mean the same. Otherwise each restart would write every status.
pub(super) fn keep_unknown(
    cluster: &GoChatCluster,
    status: &mut ClusterStatus,
    kafka: bool,
    live: Option<&LiveView>,
) {
    use ConditionType::{Balanced, Degraded, DependenciesReady, ScalingActive, Stalled};
    let before =
        cluster.status.as_ref().filter(|before| before.observed_generation == status.observed_generation);
    let Some(before) = before else { return };
    let by_kafka = [DependenciesReady, Degraded, Stalled].iter().filter(|_| kafka);
    let by_live = [Balanced, ScalingActive].iter().filter(|_| live.is_none());
    for kind in by_kafka.chain(by_live).map(|kind| kind.as_str()) {
        let old = before.conditions.iter().find(|condition| condition.type_ == kind);
        let new = status.conditions.iter_mut().find(|condition| condition.type_ == kind);
        if let (Some(old), Some(new)) = (old, new) {
            new.clone_from(old);
        }
    }
    if live.and_then(|view| view.balance.as_ref()).is_some_and(|balance| balance.first) {
        let verdict = |condition: &Condition| (condition.status.clone(), condition.reason.clone());
        let of = |condition: &&Condition| condition.type_ == Balanced.as_str();
        let old = before.conditions.iter().find(of);
        let new = status.conditions.iter_mut().find(|condition| of(&&**condition));
        if let (Some(old), Some(new)) = (old, new)
            && verdict(old) == verdict(new)
        {
            new.message.clone_from(&old.message);
        }
    }
    for workload in ScaledWorkload::ALL.into_iter().filter(|_| live.is_none()) {
        let scaling = &mut status.workloads.get_mut(workload).scaling;
        *scaling = scaling.take().or_else(|| before.workloads.get(workload).scaling.clone());
    }
}

/// The cluster's status, and what changed in its rollout as an Event.
pub(super) async fn status(
    context: &Context,
    key: &ClusterKey,
    cluster: &GoChatCluster,
    status: ClusterStatus,
) -> Result<(), Error> {
    if cluster.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let before = cluster.status.as_ref().and_then(|status| status.rollout.as_ref());
    match (before, &status.rollout) {
        (before, Some(now)) if before.map(|b| (&b.step, &b.stopped)) != Some((&now.step, &now.stopped)) => {
            let step = format!("{:?}", now.step).to_lowercase();
            match &now.stopped {
                Some(why) => context.events.warning(cluster, "RolloutStopped", format!("at {step}: {why}")),
                None => context.events.normal(cluster, "Rollout", format!("{}: {step}", now.version)),
            }
        }
        (Some(before), None) => {
            context.events.normal(cluster, "RolledOut", format!("{}: all workloads", before.version));
        }
        _ => {}
    }
    write::<GoChatCluster, _>(context, key, &key.name, &status).await
}

/// The scalers' status: what an HPA reads.
pub(super) async fn scalers(
    context: &Context,
    key: &ClusterKey,
    facts: &Facts,
    status: &ClusterStatus,
) -> Result<(), Error> {
    for (workload, scaler) in &facts.scalers {
        let deployment = facts.deployments.get(workload);
        let wanted = ScalerStatus {
            replicas: deployment.and_then(|d| d.status.as_ref()?.replicas).unwrap_or_default(),
            selector: names::selector_text(&key.name, *workload),
            reason: status.workloads.get(*workload).scaling.clone(),
        };
        if scaler.status.as_ref() != Some(&wanted) {
            write::<GoChatScaler, _>(context, key, &scaler.name_any(), &wanted).await?;
        }
    }
    Ok(())
}

async fn write<K, S>(context: &Context, key: &ClusterKey, name: &str, status: &S) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
    S: Serialize + Sync,
{
    let api: Api<K> = Api::namespaced(context.client.clone(), &key.namespace);
    let patch = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()),
        "metadata": { "name": name }, "status": status,
    });
    let params = PatchParams::apply(names::FIELD_MANAGER).force();
    match api.patch_status(name, &params, &Patch::Apply(&patch)).await {
        Ok(_) => Ok(()),
        // Deleted meanwhile.
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(Error::kube(format!("status of {name}"), error)),
    }
}
