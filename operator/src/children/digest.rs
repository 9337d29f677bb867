//! What the operator has said of an object, as one number: of what it would say now, and of what the API server has.
//!
//! An object needs no write when both are equal. The API server's half is read off `managedFields`: the fields that are the
//! operator's by server-side apply, with the values that are there. So a field that somebody else took, changed or removed
//! makes a difference, a field that somebody else added makes none, and an operator that has just been started knows as much
//! as one that has run for a year. (client-go's `ExtractInto` does the same.)
//!
//! # Caveats
//! - The API server writes some values in another way than they were sent (`1000m` becomes `1`). Then the halves never
//!   meet; [`super::Children`] remembers such pairs, so that they cost one write after each start of the operator.

use kube::api::{DynamicObject, ObjectMeta};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use crate::names::FIELD_MANAGER;

/// What the operator would say.
pub fn rendered(object: &DynamicObject) -> u64 {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    forget_identity(&mut value);
    drop_nulls(&mut value);
    digest(&value)
}

/// What the operator has said, as far as it still stands.
pub(super) fn live(object: &DynamicObject) -> u64 {
    match applied(object) {
        Value::Null => 0,
        mut extracted => {
            forget_identity(&mut extracted);
            drop_nulls(&mut extracted);
            digest(&extracted)
        }
    }
}

/// What the operator has said, as far as it still stands; null where it never said anything.
pub(super) fn applied(object: &DynamicObject) -> Value {
    let Some(fields) = owned(&object.metadata) else { return Value::Null };
    let value = serde_json::to_value(object).unwrap_or_default();
    extract(&value, fields)
}

/// The set of fields that the operator has applied.
fn owned(meta: &ObjectMeta) -> Option<&Value> {
    let entries = meta.managed_fields.as_ref()?;
    let ours = entries.iter().find(|entry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER)
            && entry.operation.as_deref() == Some("Apply")
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
    })?;
    ours.fields_v1.as_ref().map(|fields| &fields.0)
}

/// The part of `value` that is in a set of fields (`fieldsV1` of KEP-555).
///
/// `f:name` is a field, `k:{…}` the item of a list with these keys, `v:…` an item that is this value, `.` the thing itself.
/// An empty set is a leaf: all of the value.
fn extract(value: &Value, fields: &Value) -> Value {
    let fields = fields.as_object().filter(|fields| !fields.is_empty());
    let Some(fields) = fields else { return value.clone() };
    match value {
        Value::Object(members) => {
            let taken = members.iter().filter_map(|(name, member)| {
                let below = fields.get(&format!("f:{name}"))?;
                Some((name.clone(), extract(member, below)))
            });
            Value::Object(taken.collect())
        }
        Value::Array(items) => {
            let taken = items.iter().filter_map(|item| {
                let (_, below) = fields.iter().find(|(name, _)| is_item(name, item))?;
                Some(extract(item, below))
            });
            Value::Array(taken.collect())
        }
        scalar => scalar.clone(),
    }
}

/// Whether an item of a list is the one that an element of a path names.
fn is_item(element: &str, item: &Value) -> bool {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    match element.split_once(':') {
        Some(("k", keys)) => parsed(keys).and_then(|keys| keys.as_object().cloned()).is_some_and(|keys| {
            keys.iter().all(|(name, value)| item.get(name).is_none_or(|own| own == value))
                && keys.keys().any(|name| item.get(name).is_some())
        }),
        Some(("v", value)) => parsed(value).is_some_and(|value| value == *item),
        _ => false,
    }
}

/// What names the object can't differ.
fn forget_identity(value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    object.remove("apiVersion");
    object.remove("kind");
    let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    meta.remove("name");
    meta.remove("namespace");
    if meta.is_empty() {
        object.remove("metadata");
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// serde_json keeps the members of an object sorted, so the text is canonical.
fn digest(value: &Value) -> u64 {
    xxh3_64(value.to_string().as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    /// A Deployment as the API server has it after an apply: with defaults, and with what others have added.
    fn there() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "a", "namespace": "b", "uid": "1", "resourceVersion": "7",
                "labels": { "ours": "yes", "too": "yes" },
                "annotations": { "theirs": "yes" },
                "managedFields": [
                    { "manager": "kubectl", "operation": "Update", "fieldsV1": { "f:metadata": { "f:annotations": {} } } },
                    { "manager": FIELD_MANAGER, "operation": "Apply", "subresource": "status", "fieldsV1": {} },
                    { "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {
                        "f:metadata": { "f:labels": { "f:ours": {}, "f:too": {} } },
                        "f:spec": { "f:template": { "f:spec": { "f:containers": {
                            "k:{\"name\":\"main\"}": {
                                ".": {}, "f:name": {}, "f:image": {},
                                "f:ports": { "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {} } },
                            },
                        } } } },
                    } },
                ],
            },
            "spec": { "replicas": 1, "template": { "spec": { "containers": [
                { "name": "sidecar", "image": "theirs" },
                { "name": "main", "image": "ours", "imagePullPolicy": "Always",
                  "ports": [{ "containerPort": 80, "protocol": "TCP" }] },
            ] } } },
        })
    }

    fn wanted() -> DynamicObject {
        object(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "a", "namespace": "b", "labels": { "ours": "yes", "too": "yes" } },
            "spec": { "template": { "spec": { "containers": [
                { "name": "main", "image": "ours", "ports": [{ "containerPort": 80 }] },
            ] } } },
        }))
    }

    #[test]
    fn defaults_and_what_others_have_added_make_no_difference() {
        assert_eq!(rendered(&wanted()), live(&object(there())));
    }

    #[test]
    fn a_field_that_was_changed_makes_one() {
        let mut changed = there();
        changed["spec"]["template"]["spec"]["containers"][1]["image"] = "other".into();
        assert_ne!(rendered(&wanted()), live(&object(changed)));
    }

    #[test]
    fn a_field_that_somebody_took_makes_one() {
        let mut taken = there();
        let ours = &mut taken["metadata"]["managedFields"][2]["fieldsV1"]["f:metadata"];
        ours["f:labels"].as_object_mut().unwrap().remove("f:ours");
        assert_ne!(rendered(&wanted()), live(&object(taken)));
    }

    #[test]
    fn an_object_that_was_never_applied_differs_from_all() {
        let mut foreign = there();
        foreign["metadata"].as_object_mut().unwrap().remove("managedFields");
        assert_eq!(live(&object(foreign)), 0);
    }
}
