//! How the facts are read: children from the watches, Kafka and live from their own tasks, secrets by name.
//!
//! Secrets are not watched by content: the operator holds no cache of other people's passwords. Each reconcile asks for the few
//! that the spec names, keeps which keys are there, and forgets the values.

use std::collections::BTreeMap;

use gochat_crds::{GoChatCluster, ScaledWorkload};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::ClusterKey;
use super::dereference::{Facts, SecretFacts};
use super::reconcile::{Context, Error};
use super::secrets;
use crate::names;

/// Reads all but the signing keys.
pub(super) async fn read(
    context: &Context,
    key: &ClusterKey,
    cluster: &GoChatCluster,
) -> Result<Facts, Error> {
    let mut facts = Facts {
        capabilities: context.watches.capabilities(),
        live: context.views.get(key).unwrap_or_default(),
        secrets: referred(context, key, cluster).await?,
        ..Facts::default()
    };
    let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
    for ((kind, name), child) in context.children.of(key) {
        // What a former cluster of this name has left is being collected.
        if !child.meta.is_owned(uid) {
            continue;
        }
        let workload = ScaledWorkload::ALL.into_iter().find(|w| names::workload(&key.name, *w) == name);
        match (kind, workload) {
            ("Deployment", Some(workload)) => {
                facts.deployments.extend(child.parse().map(|deployment| (workload, deployment)));
            }
            ("GoChatScaler", Some(workload)) => {
                facts.scalers.extend(child.parse().map(|scaler| (workload, scaler)));
            }
            ("Job", _) => facts.migrations.extend(child.parse().map(|job| (name, job))),
            ("Service", Some(ScaledWorkload::Gateway)) => facts.gateway_service = child.parse(),
            _ => {}
        }
    }
    Ok(facts)
}

async fn referred(
    context: &Context,
    key: &ClusterKey,
    cluster: &GoChatCluster,
) -> Result<BTreeMap<String, SecretFacts>, Error> {
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &key.namespace);
    let mut found = BTreeMap::new();
    for secret in secrets::referred(&cluster.spec) {
        if found.contains_key(&secret.name) {
            continue;
        }
        let read = api.get_opt(&secret.name).await;
        let read = read.map_err(|error| Error::kube(format!("read secret {}", secret.name), error))?;
        if let Some(secret_there) = read {
            let keys = secret_there.data.into_iter().flatten().map(|(name, _)| name).collect();
            found.insert(secret.name, SecretFacts { keys });
        }
    }
    Ok(found)
}
