//! Settings that are passed on to librdkafka.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use gochat_mq::{Mq, MqConfig, MqError, Properties};

fn config<const N: usize>(properties: [(&str, &str); N]) -> MqConfig {
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    // Nothing here connects.
    MqConfig {
        bootstrap: "127.0.0.1:1".into(),
        properties: Properties(BTreeMap::from(properties)),
        ..MqConfig::default()
    }
}

#[tokio::test]
async fn a_setting_that_kafka_does_not_know_is_named_without_its_value() {
    let refused = Mq::connect(&config([("sasl.pasword", "hunter2")])).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, MqError::Config(_)));
    assert!(refused.to_string().contains("sasl.pasword"), "{refused}");
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
}

#[tokio::test]
async fn a_value_that_kafka_does_not_take_is_not_repeated() {
    let refused = Mq::connect(&config([("security.protocol", "hunter2")])).await.map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("security.protocol"), "{refused}");
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
}

#[tokio::test]
async fn what_the_guarantees_rest_on_can_not_be_overridden() {
    // Were they taken, librdkafka would refuse to create an idempotent producer.
    let mq =
        Mq::connect(&config([("acks", "1"), ("max.in.flight.requests.per.connection", "50")])).await.unwrap();
    mq.producer().unwrap();
}
