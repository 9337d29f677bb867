//! Sends the objects, kind by kind in order: those only that are not yet as they should be.
//!
//! An apply that changes nothing still is a request, and a thousand clusters of fifteen objects would make a storm of every
//! restart. So each object's digest is compared with what the API server has ([`crate::children`]) before it is sent.
//!
//! # Conflicts
//! What somebody else wrote into a field of the operator's is put back, and told with his name: first without force, so that
//! the API server names him, then with it. A GoChatScaler is never forced: whoever writes its `replicas` scales.

use futures::{StreamExt as _, stream};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::Status;
use kube::{Api, ResourceExt as _};

use super::ClusterKey;
use super::build::Objects;
use super::reconcile::{Context, Error};
use super::status::Applied;
use crate::children::{Kind, rendered};
use crate::names::FIELD_MANAGER;

/// Objects of one kind that are sent at once: one after another, a new cluster would wait for 33 answers.
const AT_ONCE: usize = 8;

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// For the status.
    pub(super) applied: Applied,
    /// What was put back just now: for Events.
    pub(super) put_back: Vec<String>,
    /// Something was written: the facts are those before it.
    pub(super) changed: bool,
}

/// Sends what differs. What the API server refuses is noted, and the rest is sent all the same; an API server that is away
/// ends it, and so does a namespace that is being deleted, where each of the others would be refused by itself.
pub(super) async fn apply(context: &Context, key: &ClusterKey, objects: &Objects) -> Result<Outcome, Error> {
    let children = context.children.of(key);
    let mut outcome = Outcome::default();
    for same in objects.in_order().chunk_by(|one, other| one.types == other.types) {
        let types = same.first().and_then(|object| object.types.clone()).unwrap_or_default();
        let Some(kind) = Kind::of(&types) else {
            let unknown = |object: &DynamicObject| {
                format!("{}: a kind that is not watched", named(&types.kind, object))
            };
            outcome.applied.refused.extend(same.iter().map(unknown));
            continue;
        };
        let differ = same.iter().filter_map(|object| {
            let digest = rendered(object);
            let child = children.get(&(kind.kind, object.name_any()));
            (!child.is_some_and(|child| child.is(digest))).then_some((object, digest))
        });
        let sends = differ.map(|(object, digest)| send(context, key, kind, object, digest));
        let mut answers = stream::iter(sends.collect::<Vec<_>>()).buffered(AT_ONCE);
        while let Some(answer) = answers.next().await {
            let Sent { put_back, refused, terminating } = answer?;
            if terminating {
                outcome.applied.terminating = true;
                return Ok(outcome);
            }
            outcome.changed |= refused.is_none();
            outcome.put_back.extend(put_back);
            outcome.applied.refused.extend(refused);
        }
    }
    Ok(outcome)
}

/// What came of one object.
#[derive(Debug, Default)]
struct Sent {
    put_back: Option<String>,
    refused: Option<String>,
    /// Since the namespace is.
    terminating: bool,
}

async fn send(
    context: &Context,
    key: &ClusterKey,
    kind: &'static Kind,
    object: &DynamicObject,
    digest: u64,
) -> Result<Sent, Error> {
    let api: Api<DynamicObject> =
        Api::namespaced_with(context.client.clone(), &key.namespace, &kind.resource);
    let (name, label) = (object.name_any(), named(kind.kind, object));
    let params = PatchParams::apply(FIELD_MANAGER);
    let mut sent = Sent::default();
    let mut answer = api.patch(&name, &params, &Patch::Apply(object)).await;
    if let Err(kube::Error::Api(status)) = &answer
        && status.is_conflict()
        && kind.kind != "GoChatScaler"
    {
        sent.put_back = Some(format!("{label}: {}", conflict(status)));
        answer = api.patch(&name, &params.force(), &Patch::Apply(object)).await;
    }
    match answer {
        Ok(there) => context.children.applied(kind, digest, there),
        Err(kube::Error::Api(status)) if is_terminating(&status) => sent.terminating = true,
        Err(kube::Error::Api(status)) if is_refusal(&status) => {
            sent.refused = Some(format!("{label}: {}", status.message));
        }
        Err(error) => return Err(Error::kube(format!("apply {label}"), error)),
    }
    Ok(sent)
}

fn named(kind: &str, object: &DynamicObject) -> String {
    format!("{kind} {}", object.name_any())
}

/// `conflict with "kubectl-edit" using apps/v1: .spec.replicas`, out of the API server's words.
fn conflict(status: &Status) -> String {
    let words = status.message.as_str();
    words.split_once(": ").map_or(words, |(_, rest)| rest).replace('\n', " ")
}

/// Whether nothing can be made any more since the namespace is being deleted.
pub(super) fn is_terminating(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// Whether another try as it is can't succeed.
fn is_refusal(status: &Status) -> bool {
    (400..500).contains(&status.code) && status.code != 429
}
