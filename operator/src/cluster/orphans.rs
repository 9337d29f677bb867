//! Deletes what the operator made for a cluster and does not want any more.
//!
//! # Guarantees
//! - Only what is labelled with the cluster, owned by this very GoChatCluster (by uid), and of a kind that the operator builds.
//! - Only as it was seen: the deletion is conditional on uid and version, so that a label that was taken away in the last
//!   moment saves an object.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, PropagationPolicy};

use super::ClusterKey;
use super::build::Objects;
use super::reconcile::{Context, Error};
use crate::children::Kind;

/// Deletes them; says which.
pub(super) async fn delete(
    context: &Context,
    key: &ClusterKey,
    owner: &str,
    objects: &Objects,
) -> Result<Vec<String>, Error> {
    let wanted: BTreeSet<(String, String)> = objects
        .in_order()
        .iter()
        .map(|object| (object.types.clone().unwrap_or_default().kind, object.name_any()))
        .collect();
    let mut deleted = Vec::new();
    for ((kind, name), child) in context.children.of(key) {
        let meta = &child.meta;
        if meta.leaving
            || !meta.is_controlled(owner)
            || wanted.contains(&(kind.to_owned(), name.clone()))
            || objects.spares(kind, &name, meta.component.as_deref())
        {
            continue;
        }
        let Some(known) = Kind::named(kind) else { continue };
        let api: Api<DynamicObject> =
            Api::namespaced_with(context.client.clone(), &key.namespace, &known.resource);
        let params = DeleteParams {
            preconditions: Some(meta.as_seen()),
            propagation_policy: Some(propagation(kind)),
            ..DeleteParams::default()
        };
        match api.delete(&name, &params).await {
            Ok(_) => deleted.push(format!("{kind} {name}")),
            // Gone already, or changed: the watch brings the cluster back here.
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
            Err(error) => return Err(Error::kube(format!("delete {kind} {name}"), error)),
        }
    }
    Ok(deleted)
}

/// A Job is there until its pods are gone: what waits for a migration waits for those.
fn propagation(kind: &str) -> PropagationPolicy {
    if kind == "Job" { PropagationPolicy::Foreground } else { PropagationPolicy::Background }
}
