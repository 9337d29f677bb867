//! The resources of `gochat.io/v1alpha1`, as they are written, and the rules they keep.
//!
//! ```text
//! cluster     GoChatCluster: what a person writes to have a chat system, and what is true of it
//! placement   GoChatPlacement: slot → member of one workload; written by the operator, obeyed by the pods
//! scaler      GoChatScaler: carries /scale of one workload
//! rebalance   GoChatRebalance: asks for a plan now
//! duration    lengths of time as people write them
//! file        a resource from a file, checked as the API server would, without one
//! ```
//!
//! These types know nobody: neither the operator nor the services. The schema does the validating: what it says is
//! enforced by the API server, and by [`file`] where there is none.

#![allow(
    unreachable_pub,
    clippy::duplicated_attributes,
    reason = "KubeSchema writes each struct a second time, inside a function; columns may have one type"
)]

mod cluster;
mod duration;
pub mod file;
mod placement;
mod rebalance;
mod scaler;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

pub use cluster::*;
pub use duration::Span;
pub use placement::*;
pub use rebalance::*;
pub use scaler::*;

/// The sample cluster: the smallest in which everything crosses from one member to another.
pub const SAMPLE: &str = include_str!("../samples/gochatcluster.yaml");

/// Every resource's definition, in the order they should be created.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    use kube::CustomResourceExt as _;
    let mut all =
        vec![GoChatCluster::crd(), GoChatPlacement::crd(), GoChatScaler::crd(), GoChatRebalance::crd()];
    for version in all.iter_mut().flat_map(|definition| &mut definition.spec.versions) {
        version.schema.iter_mut().flat_map(|schema| &mut schema.open_api_v3_schema).for_each(known_formats);
    }
    all
}

/// Takes out Rust's `uint32` and the like: Kubernetes does not know them, so it warns of them at every apply and checks
/// nothing. What is checked is the range beside them.
fn known_formats(schema: &mut JSONSchemaProps) {
    schema.format.take_if(|format| format.starts_with("uint"));
    for field in schema.properties.iter_mut().flat_map(|fields| fields.values_mut()) {
        known_formats(field);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        known_formats(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        known_formats(values);
    }
}
