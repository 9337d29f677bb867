//! Sends the objects, in order: those only that are not yet as they should be.
//!
//! An apply that changes nothing still is a request, and a thousand clusters of fifteen objects would make a storm of every
//! restart. So each object's digest is compared with what the API server has ([`crate::children`]) before it is sent.
//!
//! # Conflicts
//! What somebody else wrote into a field of the operator's is put back, and told with his name: first without force, so that
//! the API server names him, then with it. A GoChatScaler is never forced: whoever writes its `replicas` scales.

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::Status;
use kube::{Api, ResourceExt as _};

use super::ClusterKey;
use super::build::Objects;
use super::reconcile::{Context, Error};
use super::status::Applied;
use crate::children::{Kind, rendered};
use crate::names::FIELD_MANAGER;

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// For the status.
    pub(super) applied: Applied,
    /// What was put back: for Events.
    pub(super) put_back: Vec<String>,
    /// Requests sent.
    pub(super) sent: usize,
}

/// Sends what differs. What the API server refuses is noted, and the rest is sent all the same; an API server that is away
/// ends it.
pub(super) async fn apply(context: &Context, key: &ClusterKey, objects: &Objects) -> Result<Outcome, Error> {
    let children = context.children.of(key);
    let mut outcome = Outcome::default();
    for object in objects.in_order() {
        let types = object.types.clone().unwrap_or_default();
        let Some(kind) = Kind::of(&types) else {
            outcome.applied.refused.push(format!(
                "{} {}: a kind that is not watched",
                types.kind,
                object.name_any()
            ));
            continue;
        };
        let digest = rendered(object);
        let child = children.get(&(kind.kind, object.name_any()));
        if child.is_some_and(|child| child.is(digest)) {
            continue;
        }
        outcome.sent += 1;
        match send(context, key, kind, object, &mut outcome).await {
            Ok(there) => context.children.applied(kind, digest, there),
            Err(kube::Error::Api(status)) if is_refusal(&status) => {
                outcome.applied.refused.push(format!(
                    "{} {}: {}",
                    kind.kind,
                    object.name_any(),
                    status.message
                ));
            }
            Err(error) => {
                return Err(Error::kube(format!("apply {} {}", kind.kind, object.name_any()), error));
            }
        }
    }
    Ok(outcome)
}

async fn send(
    context: &Context,
    key: &ClusterKey,
    kind: &'static Kind,
    object: &DynamicObject,
    outcome: &mut Outcome,
) -> kube::Result<DynamicObject> {
    let api: Api<DynamicObject> =
        Api::namespaced_with(context.client.clone(), &key.namespace, &kind.resource);
    let name = object.name_any();
    let params = PatchParams::apply(FIELD_MANAGER);
    match api.patch(&name, &params, &Patch::Apply(object)).await {
        Err(kube::Error::Api(status)) if status.is_conflict() && kind.kind != "GoChatScaler" => {
            outcome.put_back.push(format!("{} {name}: {}", kind.kind, conflict(&status)));
            api.patch(&name, &params.force(), &Patch::Apply(object)).await
        }
        other => other,
    }
}

/// `conflict with "kubectl-edit" using apps/v1: .spec.replicas`, out of the API server's words.
fn conflict(status: &Status) -> String {
    let words = status.message.as_str();
    words.split_once(": ").map_or(words, |(_, rest)| rest).replace('\n', " ")
}

/// Whether another try as it is can't succeed.
fn is_refusal(status: &Status) -> bool {
    (400..500).contains(&status.code) && status.code != 429
}
