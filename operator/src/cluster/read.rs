//! How the facts are read: children from the watches, Kafka and live from their own tasks, secrets by name.
//!
//! Secrets are watched by their metadata only: the operator holds no cache of other people's passwords. Each reconcile asks for
//! the few that the spec names, keeps which keys are there and 32 bits of a hash of each value, and forgets the values.

use std::collections::{BTreeMap, BTreeSet};

use gochat_crds::{GoChatCluster, ScaledWorkload};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use sha2::{Digest as _, Sha256};

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
    let referred = secrets::referred(&cluster.spec);
    // From here on a change of one wakes the cluster; before it is read, so that none is missed.
    context.watches.refer(key, referred.iter().map(|secret| secret.name.clone()).collect());
    let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
    let mut found = BTreeMap::new();
    for secret in &referred {
        if found.contains_key(&secret.name) {
            continue;
        }
        let read = api.get_opt(&secret.name).await;
        let read = read.map_err(|error| Error::kube(format!("read secret {}", secret.name), error))?;
        if let Some(secret_there) = read {
            let asked: BTreeSet<&String> = referred
                .iter()
                .filter(|other| other.name == secret.name)
                .flat_map(|other| &other.keys)
                .collect();
            let mut facts = SecretFacts::default();
            for (name, ByteString(value)) in secret_there.data.into_iter().flatten() {
                if asked.contains(&name) {
                    facts.digests.insert(name.clone(), digest(uid, &value));
                }
                facts.keys.insert(name);
            }
            found.insert(secret.name.clone(), facts);
        }
    }
    Ok(found)
}

/// Another one for another value, and for another cluster: what one is told says nothing of the other.
fn digest(uid: &str, value: &[u8]) -> u32 {
    let digest = Sha256::new().chain_update(uid).chain_update([0]).chain_update(value).finalize();
    digest.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}
