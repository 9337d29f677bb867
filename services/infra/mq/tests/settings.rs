//! Settings that are passed on to librdkafka.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use gochat_mq::{Mq, MqConfig, MqError, Properties, SaslConfig, TlsConfig};

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

fn secured(folder: &Path, mechanism: &str) -> MqConfig {
    std::fs::write(folder.join("username"), "chat\n").unwrap();
    std::fs::write(folder.join("password"), "hunter2\n").unwrap();
    MqConfig {
        sasl: SaslConfig {
            mechanism: mechanism.into(),
            username_file: Some(folder.join("username")),
            password_file: Some(folder.join("password")),
        },
        tls: TlsConfig { enabled: true, ca_file: None },
        ..config([])
    }
}

#[tokio::test]
async fn credentials_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let good = secured(folder.path(), "SCRAM-SHA-512");
    Mq::connect(&good).await.unwrap();

    let refused = Mq::connect(&secured(folder.path(), "SCRAM")).await.map(|_| ()).unwrap_err().to_string();
    assert!(refused.starts_with("mq.sasl.mechanism \"SCRAM\": has to be SCRAM-SHA-512 or"), "{refused}");

    let absent = folder.path().join("absent");
    let mut config = good.clone();
    config.sasl.password_file = Some(absent.clone());
    let refused = Mq::connect(&config).await.map(|_| ()).unwrap_err().to_string();
    assert!(refused.starts_with(&format!("mq.sasl.password_file {}", absent.display())), "{refused}");
    config.sasl.password_file = None;
    let refused = Mq::connect(&config).await.map(|_| ()).unwrap_err().to_string();
    assert_eq!(refused, "mq.sasl.mechanism needs mq.sasl.password_file");
}

#[tokio::test]
async fn certificates_to_trust_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config([]);
    config.tls.ca_file = Some(folder.path().join("absent.crt"));
    let refused = Mq::connect(&config).await.map(|_| ()).unwrap_err().to_string();
    assert_eq!(refused, "mq.tls.ca_file needs mq.tls.enabled");
    config.tls.enabled = true;
    let refused = Mq::connect(&config).await.map(|_| ()).unwrap_err().to_string();
    assert!(refused.starts_with("mq.tls.ca_file ") && refused.contains("absent.crt: "), "{refused}");
}
