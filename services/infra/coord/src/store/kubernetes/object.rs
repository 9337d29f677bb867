//! A key as an object, and back.

use std::collections::BTreeMap;

use bytes::Bytes;
use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::names::{self, Names};
use crate::store::{Entry, Lease};

/// The session that a key is under.
pub(super) struct Owner {
    pub(super) lease: Lease,
    pub(super) uid: String,
    /// For people: the process.
    pub(super) holder: String,
}

/// What a key is to be.
pub(super) struct Body<'a> {
    pub(super) names: &'a Names,
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    pub(super) owner: Option<Owner>,
}

impl Body<'_> {
    /// Everything that was there before is replaced by it; with a version, only where it is still that one.
    pub(super) fn object(&self, version: Option<String>) -> LeaseObject {
        let session = self.owner.as_ref().map(|owner| names::session(owner.lease)).unwrap_or_default();
        let owner = self.owner.iter().map(|owner| OwnerReference {
            api_version: "coordination.k8s.io/v1".into(),
            kind: "Lease".into(),
            name: self.names.object(&names::session_key(owner.lease)),
            uid: owner.uid.clone(),
            ..OwnerReference::default()
        });
        let metadata = ObjectMeta {
            owner_references: Some(owner.collect()),
            resource_version: version,
            ..metadata(self.names, self.key, self.value, session)
        };
        let holder_identity = self.owner.as_ref().map(|owner| owner.holder.clone());
        LeaseObject { metadata, spec: Some(LeaseSpec { holder_identity, ..LeaseSpec::default() }) }
    }
}

pub(super) fn metadata(names: &Names, key: &str, value: &str, session: String) -> ObjectMeta {
    let labels = [
        (names::CLUSTER, names.cluster.clone()),
        (names::FOLDER, names::folder_of(key)),
        (names::SESSION, session),
    ];
    let annotations = [(names::KEY, key), (names::VALUE, value)];
    ObjectMeta {
        name: Some(names.object(key)),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value)).into()),
        annotations: Some(annotations.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        ..ObjectMeta::default()
    }
}

/// The key of an object; `None` where it is none of ours.
pub(super) fn key(object: &LeaseObject) -> Option<String> {
    text(object.metadata.annotations.as_ref(), names::KEY).map(str::to_owned)
}

pub(super) fn entry(object: &LeaseObject) -> Entry {
    let metadata = &object.metadata;
    let value = text(metadata.annotations.as_ref(), names::VALUE).unwrap_or_default();
    let session = text(metadata.labels.as_ref(), names::SESSION).unwrap_or_default();
    Entry {
        value: Bytes::copy_from_slice(value.as_bytes()),
        revision: revision(metadata),
        lease: names::lease(session),
    }
}

/// An object's version as a number.
pub(super) fn revision(metadata: &ObjectMeta) -> i64 {
    metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

fn text<'a>(texts: Option<&'a BTreeMap<String, String>>, name: &str) -> Option<&'a str> {
    texts?.get(name).map(String::as_str)
}
