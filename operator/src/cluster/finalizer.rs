//! What is left to do when a GoChatCluster is deleted. There is a finalizer only where there is something: topics that are to go.
//!
//! Everything else is taken along by the garbage collector (owner references), or has no owner and stays.
//!
//! # Guarantees
//! - It can't hang a namespace: after the deadline (`deletion_deadline`) what could not be deleted stays, a Warning says so, and the resource goes.
//! - Topics go after the pods: a pod would make them again.

use std::time::Duration;

use gochat_crds::{DeletionPolicy, GoChatCluster, ScaledWorkload};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::controller::Action;
use serde_json::json;

use super::ClusterKey;
use super::reconcile::{Context, Error};
use crate::names;

/// On a GoChatCluster whose topics go with it.
pub const FINALIZER: &str = "gochat.io/topics";

/// The pods may take two thirds of the time.
const PODS: f64 = 2.0 / 3.0;
const AGAIN: Duration = Duration::from_secs(2);

/// Puts the finalizer where it is needed, and takes it where it is not.
pub(super) async fn keep(context: &Context, key: &ClusterKey, cluster: &GoChatCluster) -> Result<(), Error> {
    let needed = cluster.spec.deletion.topics == DeletionPolicy::Delete;
    let there = cluster.finalizers().iter().any(|name| name == FINALIZER);
    if needed == there {
        return Ok(());
    }
    set(context, key, cluster, needed).await
}

/// Does what is left, and lets go.
pub(super) async fn finish(
    context: &Context,
    key: &ClusterKey,
    cluster: &GoChatCluster,
) -> Result<Action, Error> {
    // Nobody moves slots between pods that are all about to go.
    context.live.forget(key);
    if !cluster.finalizers().iter().any(|name| name == FINALIZER) {
        context.kafka.forget(key);
        return Ok(Action::await_change());
    }
    let since = cluster.metadata.deletion_timestamp.as_ref().map_or_else(Timestamp::now, |time| time.0);
    let elapsed = Duration::try_from(Timestamp::now().duration_since(since)).unwrap_or_default();
    let deadline = context.deletion_deadline;
    if stop_pods(context, key).await? && elapsed < deadline.mul_f64(PODS) {
        return Ok(Action::requeue(AGAIN));
    }
    let left = deadline.saturating_sub(elapsed);
    match context.kafka.delete_topics(key, cluster, left).await {
        Ok(topics) if topics.is_empty() => {}
        Ok(topics) => context.events.normal(cluster, "TopicsDeleted", topics.join(", ")),
        Err(why) if elapsed < deadline => {
            tracing::info!(cluster = %key, %why, "the topics are not deleted yet");
            return Ok(Action::requeue(AGAIN));
        }
        Err(why) => {
            let note = format!("after {}s the topics are still there, and stay: {why}", deadline.as_secs());
            context.events.warning(cluster, "TopicsLeft", note);
        }
    }
    set(context, key, cluster, false).await?;
    context.kafka.forget(key);
    Ok(Action::await_change())
}

/// Deletes the Deployments; whether there still are any.
async fn stop_pods(context: &Context, key: &ClusterKey) -> Result<bool, Error> {
    let api: Api<Deployment> = Api::namespaced(context.client.clone(), &key.namespace);
    let mut any = false;
    for workload in ScaledWorkload::ALL {
        let name = names::workload(&key.name, workload);
        let Some(child) = context.children.of(key).remove(&("Deployment", name.clone())) else { continue };
        any = true;
        if child.meta.leaving {
            continue;
        }
        match api.delete(&name, &DeleteParams::foreground()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(Error::kube(format!("delete Deployment {name}"), error)),
        }
    }
    Ok(any)
}

/// By a merge patch that is conditional on the version: the list of finalizers is everybody's.
async fn set(context: &Context, key: &ClusterKey, cluster: &GoChatCluster, there: bool) -> Result<(), Error> {
    let mut finalizers: Vec<_> =
        cluster.finalizers().iter().filter(|name| *name != FINALIZER).cloned().collect();
    if there {
        finalizers.push(FINALIZER.to_owned());
    }
    let patch =
        json!({ "metadata": { "finalizers": finalizers, "resourceVersion": cluster.resource_version() } });
    let api: Api<GoChatCluster> = Api::namespaced(context.client.clone(), &key.namespace);
    match api.patch(&key.name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(Error::kube("finalizer".to_owned(), error)),
    }
}
