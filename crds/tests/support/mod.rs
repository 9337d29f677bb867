//! The samples, and the sample with something wrong in it.
#![allow(dead_code, reason = "each test file uses a part of it")]

mod table;

use gochat_crds::SAMPLE;
use serde_json::Value;

pub(crate) use table::{CREATE, Case, UPDATE};

pub(crate) const FULL: &str = include_str!("../../samples/full.yaml");
pub(crate) const REBALANCE: &str = include_str!("../../samples/gochatrebalance.yaml");

/// The sample with a part of its spec replaced.
pub(crate) fn sample_with(name: &str, case: &Case) -> String {
    let mut sample: Value = serde_saphyr::from_str(SAMPLE).unwrap();
    let part: Value = serde_saphyr::from_str(&format!("{{ {} }}", case.spec)).unwrap();
    sample["metadata"]["name"] = name.into();
    for (key, value) in part.as_object().unwrap() {
        sample["spec"][key] = value.clone();
    }
    sample.to_string()
}
