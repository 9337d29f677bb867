//! The settings of topics that are there: read, and corrected where they are not what the spec says.
//!
//! Only `retention.ms` and `min.insync.replicas` are the operator's. librdkafka's safe API has AlterConfigs and no
//! IncrementalAlterConfigs (KIP-339): it resets what is not named, so what somebody else has set on the topic is read first
//! and sent along.
//!
//! # Caveats
//! What somebody else sets between the two calls, milliseconds, is lost.

use std::collections::BTreeMap;

use rdkafka::admin::{AlterConfig, ConfigResource, ConfigSource, OwnedResourceSpecifier, ResourceSpecifier};

use super::admin::{Admin, WITHIN, options, words};
use super::wanted::Topic;

/// How long a record stays, in milliseconds.
pub(super) const RETENTION: &str = "retention.ms";
/// What a write with `acks=all` has to reach.
pub(super) const IN_SYNC: &str = "min.insync.replicas";

/// The settings of one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TopicConfig {
    /// What counts, by whomever and wherever it was set; only what is the operator's.
    pub(super) effective: BTreeMap<String, String>,
    /// All that is set on the topic itself.
    pub(super) own: BTreeMap<String, String>,
}

impl TopicConfig {
    fn of(resource: &ConfigResource) -> Self {
        let mut config = Self::default();
        for entry in &resource.entries {
            let Some(value) = &entry.value else { continue };
            if entry.name == RETENTION || entry.name == IN_SYNC {
                config.effective.insert(entry.name.clone(), value.clone());
            }
            if entry.source == ConfigSource::DynamicTopic {
                config.own.insert(entry.name.clone(), value.clone());
            }
        }
        config
    }
}

/// What the operator sets on a topic that has `replicas`.
pub(super) fn wanted(topic: &Topic, replicas: u32) -> [(&'static str, String); 2] {
    [(RETENTION, topic.retention.as_millis().to_string()), (IN_SYNC, topic.min_in_sync(replicas).to_string())]
}

impl Admin {
    /// The settings of these topics; one that is not there is left out. The error is a broker's own words.
    pub(super) async fn configs(&self, names: &[&str]) -> Result<BTreeMap<String, TopicConfig>, String> {
        let asked: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let answers =
            self.client().describe_configs(&asked, &options(WITHIN)).await.map_err(|e| self.away(&e))?;
        let mut configs = BTreeMap::new();
        for answer in answers {
            match answer {
                Ok(resource) => {
                    if let OwnedResourceSpecifier::Topic(name) = &resource.specifier {
                        configs.insert(name.clone(), TopicConfig::of(&resource));
                    }
                }
                Err(code) if is_absent(code) => {}
                Err(code) => return Err(words(code)),
            }
        }
        Ok(configs)
    }

    /// Sets all of a topic's own settings.
    pub(super) async fn configure(&self, name: &str, own: &BTreeMap<String, String>) -> Result<(), String> {
        let mut alter = AlterConfig::new(ResourceSpecifier::Topic(name));
        for (key, value) in own {
            alter = alter.set(key, value);
        }
        let answers = self
            .client()
            .alter_configs([&alter], &options(WITHIN))
            .await
            .map_err(|error| self.away(&error))?;
        match answers.into_iter().next() {
            Some(Err((_, code))) => Err(words(code)),
            _ => Ok(()),
        }
    }
}

fn is_absent(code: rdkafka::error::RDKafkaErrorCode) -> bool {
    use rdkafka::error::RDKafkaErrorCode::{UnknownTopic, UnknownTopicOrPartition};
    matches!(code, UnknownTopic | UnknownTopicOrPartition)
}
