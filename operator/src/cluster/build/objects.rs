//! The objects in the order of application, each with its labels and its owner: nothing is added without them.

use std::collections::{BTreeMap, BTreeSet};

use gochat_crds::GoChatCluster;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DynamicObject, ObjectMeta};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde_json::Value;

use crate::cluster::dereference::Facts;
use crate::cluster::rollout::{self, RolloutPlan};
use crate::cluster::validate::ValidCluster;
use crate::names;

/// Every object of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    all: Vec<DynamicObject>,
    cluster: String,
    namespace: String,
    /// None while there is no GoChatCluster in any API server, only a file.
    owner: Option<OwnerReference>,
    /// Components that may have pods of an older template.
    unsettled: BTreeSet<String>,
    jobs: BTreeSet<String>,
}

impl Objects {
    pub(super) fn new(cluster: &ValidCluster, rollout: &RolloutPlan, facts: &Facts) -> Self {
        Self {
            all: Vec::new(),
            cluster: cluster.name.clone(),
            namespace: cluster.namespace.clone(),
            owner: owner(cluster),
            unsettled: rollout.unsettled.clone(),
            jobs: rollout::jobs_to_keep(cluster, facts),
        }
    }

    /// All of them, complete with `apiVersion` and `kind`, in the order of application: accounts and roles, configuration,
    /// services, scalers, job, deployments, budgets, network policies, ingress, monitoring.
    pub fn in_order(&self) -> &[DynamicObject] {
        &self.all
    }

    /// Whether an object of this cluster that is not in [`Self::in_order`] has to stay for now: configuration that pods of
    /// an older template still read, the migration's Job, and secrets, which nobody could make again.
    pub fn spares(&self, kind: &str, name: &str, component: Option<&str>) -> bool {
        match kind {
            "Secret" => true,
            "ConfigMap" => component.is_some_and(|component| self.unsettled.contains(component)),
            "Job" => self.jobs.contains(name),
            _ => false,
        }
    }

    /// Adds an object of one part of the cluster: a workload, or `migrate`.
    pub(super) fn add<K>(&mut self, component: &str, mut object: K)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize,
    {
        self.own(object.meta_mut(), names::component_labels(&self.cluster, component));
        let types = (K::api_version(&()).into_owned(), K::kind(&()).into_owned());
        self.push(types, &object);
    }

    /// Adds an object of the whole cluster.
    pub(super) fn add_shared<K>(&mut self, mut object: K)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize,
    {
        self.own(object.meta_mut(), names::cluster_labels(&self.cluster));
        let types = (K::api_version(&()).into_owned(), K::kind(&()).into_owned());
        self.push(types, &object);
    }

    /// Adds an object of a kind that has no type here.
    pub(super) fn add_untyped(&mut self, api_version: &str, kind: &str, name: String, spec: &Value) {
        let mut object = DynamicObject {
            types: None,
            metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
            data: serde_json::json!({ "spec": spec }),
        };
        self.own(&mut object.metadata, names::cluster_labels(&self.cluster));
        self.push((api_version.to_owned(), kind.to_owned()), &object);
    }

    fn own(&self, meta: &mut ObjectMeta, labels: BTreeMap<String, String>) {
        meta.namespace = Some(self.namespace.clone());
        meta.labels.get_or_insert_default().extend(labels);
        meta.owner_references = self.owner.clone().map(|owner| vec![owner]);
    }

    fn push(&mut self, (api_version, kind): (String, String), object: &impl Serialize) {
        let Ok(mut value) = serde_json::to_value(object) else {
            // Kubernetes's types have string keys only, which is all that could fail.
            tracing::error!(kind, "an object can't be written as JSON");
            return;
        };
        if let Some(object) = value.as_object_mut() {
            object.insert("apiVersion".to_owned(), api_version.into());
            object.insert("kind".to_owned(), kind.clone().into());
            // The status is somebody else's.
            object.remove("status");
        }
        match serde_json::from_value(value) {
            Ok(object) => self.all.push(object),
            Err(error) => tracing::error!(kind, %error, "an object can't be read back from JSON"),
        }
    }
}

/// Whose everything is.
fn owner(cluster: &ValidCluster) -> Option<OwnerReference> {
    (!cluster.uid.is_empty()).then(|| OwnerReference {
        api_version: GoChatCluster::api_version(&()).into_owned(),
        kind: GoChatCluster::kind(&()).into_owned(),
        name: cluster.name.clone(),
        uid: cluster.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    })
}

/// Only a name: namespace, labels and owner are given by [`Objects`].
pub(super) fn named(name: impl Into<String>) -> ObjectMeta {
    ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() }
}

impl std::fmt::Display for Objects {
    /// As a stream of YAML documents.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for object in &self.all {
            let yaml = serde_saphyr::to_string(object).map_err(|error| {
                tracing::error!(name = object.name_any(), %error, "an object can't be written as YAML");
                std::fmt::Error
            })?;
            write!(f, "---\n{}\n", yaml.trim_end())?;
        }
        Ok(())
    }
}
