//! What the schema and its rules refuse, without a cluster.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::collections::BTreeSet;

use gochat_crds::{GoChatCluster, GoChatRebalance, SAMPLE, file};
use serde_json::Value;

use support::{CREATE, FULL, REBALANCE, UPDATE, sample_with};

#[test]
fn the_samples_are_valid() {
    file::read::<GoChatCluster>(SAMPLE, "sample").unwrap();
    file::read::<GoChatCluster>(FULL, "full").unwrap();
    file::read::<GoChatRebalance>(REBALANCE, "rebalance").unwrap();
}

#[test]
fn the_full_sample_shows_every_field() {
    fn paths(schema: &Value, path: &str, all: &mut BTreeSet<String>) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            if !["resources", "tolerations"].contains(&name.as_str()) {
                paths(field, &path, all);
            }
            all.insert(path);
        }
    }
    fn shown(value: &Value, path: &str, all: &mut BTreeSet<String>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            shown(value, &path, all);
            all.insert(path);
        }
    }
    // Alternatives of what is shown, named in its comments; and the same fields of another workload.
    let elsewhere =
        [".httpRoute", ".keysSecret", ".inline", ".replicas", ".pod", ".autoscaling", ".behavior"];
    let schema = serde_json::to_value(&gochat_crds::definitions()[0]).unwrap();
    let mut all = BTreeSet::new();
    paths(
        schema.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap(),
        "spec",
        &mut all,
    );
    let mut there = BTreeSet::new();
    shown(&serde_saphyr::from_str::<Value>(FULL).unwrap()["spec"], "spec", &mut there);
    let missing: Vec<_> = all
        .difference(&there)
        .filter(|path| !elsewhere.iter().any(|e| path.ends_with(e) || path.contains(&format!("{e}."))))
        .collect();
    assert!(missing.is_empty(), "samples/full.yaml doesn't show {missing:?}");
}

#[test]
fn what_is_wrong_is_refused_without_a_cluster() {
    for case in CREATE {
        let Err(error) = file::read::<GoChatCluster>(&sample_with("a", case), "a.yaml") else {
            panic!("{} passes", case.spec)
        };
        let error = error.to_string();
        for words in case.words {
            assert!(error.contains(words), "{}\n{error}\nhas no {words:?}", case.spec);
        }
    }
    let before: GoChatCluster = file::read(SAMPLE, "sample").unwrap();
    for case in UPDATE {
        let after: GoChatCluster = file::read(&sample_with("sample", case), "a.yaml").unwrap();
        let error = after.validate_cel_update(&before).unwrap_err().to_string();
        assert!(case.words.iter().all(|w| error.contains(w)), "{}\n{error}", case.spec);
    }
}
