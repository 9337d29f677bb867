//! The kinds that the operator builds.

use std::sync::{Arc, LazyLock};

use gochat_crds::GoChatScaler;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Resource;
use kube::api::{DynamicObject, ObjectMeta, TypeMeta};
use kube::core::{ApiResource, GroupVersionKind};

use super::digest;
use crate::names::FIELD_MANAGER;

/// A kind that the operator builds.
#[derive(Debug)]
pub struct Kind {
    /// Such as `Deployment`.
    pub kind: &'static str,
    /// Its group, version and plural.
    pub resource: ApiResource,
    /// Not every API server has it.
    pub optional: bool,
    /// Somebody reads more of it than whether it is as it should be.
    is_read: bool,
}

/// All of them. GoChatPlacement is not here (the live part's), nor is the secret with the signing keys (whose content
/// nobody may render).
pub static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    vec![
        built_in::<ServiceAccount>("ServiceAccount", false),
        built_in::<Role>("Role", false),
        built_in::<RoleBinding>("RoleBinding", false),
        built_in::<ConfigMap>("ConfigMap", false),
        built_in::<Service>("Service", true),
        built_in::<GoChatScaler>("GoChatScaler", true),
        built_in::<Job>("Job", true),
        built_in::<Deployment>("Deployment", true),
        built_in::<PodDisruptionBudget>("PodDisruptionBudget", false),
        built_in::<NetworkPolicy>("NetworkPolicy", false),
        built_in::<Ingress>("Ingress", false),
        optional("gateway.networking.k8s.io", "v1", "HTTPRoute"),
        optional("monitoring.coreos.com", "v1", "PodMonitor"),
        optional("monitoring.coreos.com", "v1", "PrometheusRule"),
    ]
});

impl Kind {
    /// That of an object, where it is one of ours.
    pub fn of(types: &TypeMeta) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.kind == types.kind && kind.resource.api_version == types.api_version)
    }

    /// By name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.kind == name)
    }

    /// What is kept of an object as JSON; `None` where nobody reads it.
    pub(super) fn keep(&self, mut object: DynamicObject) -> Option<Arc<str>> {
        if !self.is_read {
            return None;
        }
        if self.kind == "Deployment"
            && let Some(template) = digest::applied(&object).pointer_mut("/spec/template")
            && let Some(there) = object.data.pointer_mut("/spec/template")
        {
            // A rollout holds a workload back by applying the same again: what the operator has said of the template, without
            // the defaults and what others have added.
            *there = template.take();
        }
        if self.kind == "Job"
            && let Some(parts) = object.data.as_object_mut()
        {
            // How far it is, and nothing else.
            parts.remove("spec");
        }
        // Whether somebody else owns a scaler's replicas is what decides who scales.
        let managed_fields = object.metadata.managed_fields.filter(|_| self.kind == "GoChatScaler");
        let managed_fields = managed_fields.map(|mut entries| {
            entries.retain(|entry| entry.manager.as_deref() != Some(FIELD_MANAGER));
            entries
        });
        object.metadata = ObjectMeta {
            name: object.metadata.name,
            generation: object.metadata.generation,
            managed_fields,
            ..ObjectMeta::default()
        };
        serde_json::to_string(&object).ok().map(Arc::from)
    }
}

fn built_in<K: Resource<DynamicType = ()>>(kind: &'static str, is_read: bool) -> Kind {
    Kind { kind, resource: ApiResource::erase::<K>(&()), optional: false, is_read }
}

fn optional(group: &str, version: &str, kind: &'static str) -> Kind {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Kind { kind, resource, optional: true, is_read: false }
}
