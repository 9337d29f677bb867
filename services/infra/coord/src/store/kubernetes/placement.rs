//! The keys `placement/<workload>`: on Kubernetes they are the operator's resource, which pods read and never write.
//!
//! Only the three fields that make a placement are known here. The resource's own types bring its schema and what
//! checks it, which no service needs; a test holds the two together.

use std::time::Duration;

use bytes::Bytes;
use gochat_core::{Placement, Workload};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::json;

use super::{ATTEMPTS, Answer, Kubernetes, MANAGER, contended, object};
use crate::store::{Entry, StoreError};

/// Of one call: the first ones after the definition was installed take the API server seconds.
const WITHIN: Duration = Duration::from_secs(10);

pub(super) fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("gochat.io", "v1alpha1", "GoChatPlacement");
    ApiResource::from_gvk_with_plural(&kind, "gochatplacements")
}

/// The workload whose placement the key is.
pub(super) fn workload(key: &str) -> Option<Workload> {
    key.strip_prefix("placement/")?.parse().ok()
}

/// As the other backends have it stored.
pub(super) fn entry(found: &DynamicObject) -> Option<Entry> {
    let placement: Placement = serde_json::from_value(found.data.get("spec")?.clone()).ok()?;
    let value = serde_json::to_vec(&placement).ok()?;
    Some(Entry { value: value.into(), revision: object::revision(&found.metadata), lease: 0 })
}

impl Kubernetes {
    async fn read_placement(&self, workload: Workload) -> Result<Answer<DynamicObject>, StoreError> {
        Self::ask_within(WITHIN, self.placements.get(&self.names.placement(workload))).await
    }

    pub(super) async fn get_placement(&self, workload: Workload) -> Result<Option<Entry>, StoreError> {
        match self.read_placement(workload).await? {
            Answer::Done(found) => Ok(entry(&found)),
            Answer::Absent | Answer::Conflict => Ok(None),
        }
    }

    pub(super) async fn put_placement(&self, workload: Workload, value: &Bytes) -> Result<i64, StoreError> {
        for _ in 0..ATTEMPTS {
            let stored = self.get_placement(workload).await?.map(|entry| entry.value);
            if self.compare_and_put_placement(workload, stored.as_ref(), value).await? {
                return Ok(self.get_placement(workload).await?.map_or(0, |entry| entry.revision));
            }
        }
        Err(contended("a placement"))
    }

    pub(super) async fn compare_and_put_placement(
        &self,
        workload: Workload,
        expected: Option<&Bytes>,
        value: &Bytes,
    ) -> Result<bool, StoreError> {
        let refused = |e: serde_json::Error| StoreError::Away(format!("not a placement: {e}"));
        let Placement { epoch, members, owners } = serde_json::from_slice(value).map_err(refused)?;
        let mut next = DynamicObject::new(&self.names.placement(workload), &resource()).data(json!({ "spec": {
            "cluster": self.names.cluster, "workload": workload, "epoch": epoch, "members": members, "owners": owners,
        }}));
        let Some(expected) = expected else {
            let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
            return match Self::ask_within(WITHIN, self.placements.create(&params, &next)).await? {
                Answer::Done(_) => Ok(true),
                Answer::Conflict => Ok(false),
                Answer::Absent => Err(StoreError::Away("the API server knows no GoChatPlacement".into())),
            };
        };
        let Answer::Done(found) = self.read_placement(workload).await? else { return Ok(false) };
        if entry(&found).is_none_or(|entry| entry.value != *expected) {
            return Ok(false);
        }
        // Where its status has changed meanwhile it is refused too, and the caller tries again.
        next.metadata.resource_version = found.metadata.resource_version;
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        let (name, change) = (self.names.placement(workload), Patch::Merge(&next));
        Ok(matches!(
            Self::ask_within(WITHIN, self.placements.patch(&name, &params, &change)).await?,
            Answer::Done(_)
        ))
    }
}

#[cfg(test)]
mod tests {
    use gochat_core::{Epoch, SlotCount};
    use gochat_crds::{GoChatPlacement, GoChatPlacementSpec, PlacedWorkload};
    use kube::Resource as _;

    use super::*;

    #[test]
    fn the_operators_resource_is_read_as_it_is_written() {
        let slots = SlotCount::new(4).unwrap();
        let placement = Placement::dealt(Epoch(7), slots, &["chat-logic-0".into(), "chat-logic-1".into()]);
        let spec = GoChatPlacementSpec {
            cluster: "chat".into(),
            workload: PlacedWorkload::Logic,
            epoch: 7,
            members: placement.members.iter().map(ToString::to_string).collect(),
            owners: placement.owners.clone(),
        };
        let written = serde_json::to_value(GoChatPlacement::new("chat-logic", spec)).unwrap();
        let read = entry(&serde_json::from_value(written).unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Placement>(&read.value).unwrap(), placement);

        let resource = resource();
        assert_eq!(resource.plural, GoChatPlacement::plural(&()));
        assert_eq!(resource.api_version, GoChatPlacement::api_version(&()));
        assert_eq!(resource.kind, GoChatPlacement::kind(&()));
    }
}
