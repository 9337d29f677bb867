//! Ranges: what the types alone don't say.

use std::ops::RangeInclusive;

use crate::GoChatCluster;

/// A value that can't be; the message says which, and what can.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}: must be {must}")]
pub struct InvalidCluster {
    field: &'static str,
    value: String,
    must: String,
}

const REPLICAS: RangeInclusive<u32> = 1..=1_000;
const SLOTS: RangeInclusive<u32> = 1..=4_096;

impl GoChatCluster {
    /// Checks all that the types don't.
    pub fn check(&self) -> Result<(), InvalidCluster> {
        exactly("apiVersion", &self.api_version, Self::API_VERSION)?;
        exactly("kind", &self.kind, Self::KIND)?;
        let name = &self.metadata.name;
        let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(1..=40).contains(&name.len()) || !name.chars().all(part) {
            return Err(invalid("metadata.name", &format!("{name:?}"), "1 to 40 of a-z, 0-9 and -"));
        }
        let spec = &self.spec;
        within("spec.gateway.replicas", spec.gateway.replicas, &REPLICAS)?;
        within("spec.logic.replicas", spec.logic.replicas, &REPLICAS)?;
        within("spec.task.replicas", spec.task.replicas, &REPLICAS)?;
        within("spec.gateway.shards", spec.gateway.shards, &SLOTS)?;
        if !spec.gateway.shards.is_power_of_two() {
            return Err(invalid("spec.gateway.shards", &spec.gateway.shards, "a power of two"));
        }
        within("spec.kafka.topics.upstream.partitions", spec.kafka.topics.upstream.partitions, &SLOTS)?;
        within("spec.kafka.topics.task.partitions", spec.kafka.topics.task.partitions, &SLOTS)
    }
}

fn exactly(field: &'static str, value: &str, wanted: &str) -> Result<(), InvalidCluster> {
    if value == wanted { Ok(()) } else { Err(invalid(field, &format!("{value:?}"), wanted)) }
}

fn within(field: &'static str, value: u32, range: &RangeInclusive<u32>) -> Result<(), InvalidCluster> {
    let must = || format!("{} to {}", range.start(), range.end());
    if range.contains(&value) { Ok(()) } else { Err(invalid(field, &value, must())) }
}

fn invalid(field: &'static str, value: &dyn std::fmt::Display, must: impl Into<String>) -> InvalidCluster {
    InvalidCluster { field, value: value.to_string(), must: must.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(spec: &str) -> GoChatCluster {
        let head = "apiVersion: gochat.io/v1alpha1\nkind: GoChatCluster\nmetadata: { name: a }\n";
        serde_saphyr::from_str(&format!("{head}spec: {spec}\n")).unwrap()
    }

    #[test]
    fn the_sample_is_valid_and_small() {
        let sample: GoChatCluster = serde_saphyr::from_str(crate::SAMPLE).unwrap();
        assert_eq!(sample.check(), Ok(()));
        assert!(crate::SAMPLE.lines().count() <= 10);
        assert_eq!((sample.spec.gateway.replicas, sample.spec.gateway.shards), (2, 16));
    }

    #[test]
    fn a_value_out_of_range_is_named_with_its_range() {
        let refused = |spec: &str| cluster(spec).check().unwrap_err().to_string();
        assert_eq!(refused("{gateway: {shards: 48}}"), "spec.gateway.shards is 48: must be a power of two");
        assert_eq!(refused("{logic: {replicas: 0}}"), "spec.logic.replicas is 0: must be 1 to 1000");
        assert_eq!(
            refused("{kafka: {topics: {task: {partitions: 5000}}}}"),
            "spec.kafka.topics.task.partitions is 5000: must be 1 to 4096"
        );
        let nameless = GoChatCluster { metadata: crate::Metadata::default(), ..cluster("{}") };
        assert_eq!(
            nameless.check().unwrap_err().to_string(),
            "metadata.name is \"\": must be 1 to 40 of a-z, 0-9 and -"
        );
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        let auth = cluster("{auth: {accessTokenTtl: 15m}}").spec.auth;
        assert_eq!(auth.access_token_ttl.map(|ttl| ttl.as_secs()), Some(900));
        assert_eq!(auth.session_ttl, None);
    }
}
