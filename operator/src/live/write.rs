//! What the live part writes: GoChatPlacement, and the status of GoChatRebalance.
//!
//! A placement is applied with the version that the decision was made on: if somebody else has written it meanwhile the
//! API server refuses, and the next look decides anew.

use std::sync::Arc;

use gochat_crds::{GoChatPlacement, GoChatPlacementSpec, GoChatRebalance, PlacementStatus, RebalanceStatus};
use kube::api::{Api, ObjectMeta, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Brief;
use crate::names::{self, FIELD_MANAGER};

/// Writes a map; `known` is the object that the decision was made on.
pub(super) async fn map(
    client: &Client,
    brief: &Brief,
    spec: GoChatPlacementSpec,
    known: Option<&GoChatPlacement>,
) -> kube::Result<Arc<GoChatPlacement>> {
    let name = names::placement(&brief.key.name, spec.workload);
    let metadata = ObjectMeta {
        name: Some(name.clone()),
        namespace: Some(brief.key.namespace.clone()),
        labels: Some(names::component_labels(&brief.key.name, spec.workload.as_str())),
        owner_references: Some(vec![brief.owner.clone()]),
        resource_version: known.and_then(kube::ResourceExt::resource_version),
        ..ObjectMeta::default()
    };
    let api: Api<GoChatPlacement> = Api::namespaced(client.clone(), &brief.key.namespace);
    let object = GoChatPlacement { metadata, spec, status: None };
    let written =
        api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&object)).await?;
    Ok(Arc::new(trimmed(written)))
}

/// Writes what is true of a placement.
pub(super) async fn placement_status(
    client: &Client,
    placement: &GoChatPlacement,
    status: &PlacementStatus,
) -> kube::Result<Arc<GoChatPlacement>> {
    write_status(client, placement, status).await
}

/// Writes how far a rebalance is.
pub(super) async fn rebalance_status(
    client: &Client,
    rebalance: &GoChatRebalance,
    status: &RebalanceStatus,
) -> kube::Result<Arc<GoChatRebalance>> {
    write_status(client, rebalance, status).await
}

async fn write_status<K>(client: &Client, object: &K, status: &impl Serialize) -> kube::Result<Arc<K>>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope> + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        // Of this very object: one that was made anew under its name is another one.
        "metadata": { "name": object.name_any(), "uid": object.uid() },
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let written = api.patch_status(&object.name_any(), &params, &Patch::Apply(&patch)).await?;
    Ok(Arc::new(trimmed(written)))
}

/// Without what nobody here reads.
pub(super) fn trimmed<K: Resource>(mut object: K) -> K {
    object.meta_mut().managed_fields = None;
    object
}

/// The later one of what the watch has and what a write was answered with.
pub(super) fn newest<K: Resource>(stored: Option<Arc<K>>, answered: Option<&Arc<K>>) -> Option<Arc<K>> {
    // Versions are numbers that grow (KEP-5504).
    let version =
        |object: &Arc<K>| object.meta().resource_version.as_ref().and_then(|v| v.parse::<u64>().ok());
    match (stored, answered) {
        (Some(stored), Some(answered)) if version(&stored) < version(answered) => Some(Arc::clone(answered)),
        (Some(stored), _) => Some(stored),
        (None, answered) => answered.cloned(),
    }
}
