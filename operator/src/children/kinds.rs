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

use super::{Body, digest};

/// A kind that the operator builds.
#[derive(Debug)]
pub struct Kind {
    /// Such as `Deployment`.
    pub kind: &'static str,
    /// Its group, version and plural.
    pub resource: ApiResource,
    /// Not every API server has it.
    pub optional: bool,
    body: fn(DynamicObject) -> Body,
}

/// All of them. GoChatPlacement is not here (the live part's), nor is the secret with the signing keys (whose content
/// nobody may render).
pub static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    vec![
        built_in::<ServiceAccount>("ServiceAccount", nothing),
        built_in::<Role>("Role", nothing),
        built_in::<RoleBinding>("RoleBinding", nothing),
        built_in::<ConfigMap>("ConfigMap", nothing),
        built_in::<Service>("Service", service),
        built_in::<GoChatScaler>("GoChatScaler", scaler),
        built_in::<Job>("Job", job),
        built_in::<Deployment>("Deployment", deployment),
        built_in::<PodDisruptionBudget>("PodDisruptionBudget", nothing),
        built_in::<NetworkPolicy>("NetworkPolicy", nothing),
        built_in::<Ingress>("Ingress", nothing),
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

    /// Splits an object into what is kept of it.
    pub(super) fn keep(&self, mut object: DynamicObject) -> (ObjectMeta, Body) {
        if self.kind == "Deployment"
            && let Some(template) = digest::applied(&object).pointer_mut("/spec/template")
            && let Some(there) = object.data.pointer_mut("/spec/template")
        {
            // A rollout holds a workload back by applying the same again: what the operator has said of the template, without
            // the defaults and what others have added.
            *there = template.take();
        }
        let meta = ObjectMeta { managed_fields: None, ..object.metadata.clone() };
        // Who owns a scaler's replicas is what decides who scales.
        if self.kind != "GoChatScaler" {
            object.metadata.managed_fields = None;
        }
        (meta, (self.body)(object))
    }
}

fn built_in<K: Resource<DynamicType = ()>>(kind: &'static str, body: fn(DynamicObject) -> Body) -> Kind {
    Kind { kind, resource: ApiResource::erase::<K>(&()), optional: false, body }
}

fn optional(group: &str, version: &str, kind: &'static str) -> Kind {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Kind { kind, resource, optional: true, body: nothing }
}

fn nothing(_: DynamicObject) -> Body {
    Body::Nothing
}

fn service(object: DynamicObject) -> Body {
    object.try_parse::<Service>().map_or(Body::Nothing, |service| Body::Service(Arc::new(service)))
}

fn scaler(object: DynamicObject) -> Body {
    object.try_parse::<GoChatScaler>().map_or(Body::Nothing, |scaler| Body::Scaler(Arc::new(scaler)))
}

fn job(object: DynamicObject) -> Body {
    object.try_parse::<Job>().map_or(Body::Nothing, |job| Body::Job(Arc::new(job)))
}

fn deployment(object: DynamicObject) -> Body {
    object
        .try_parse::<Deployment>()
        .map_or(Body::Nothing, |deployment| Body::Deployment(Arc::new(deployment)))
}
