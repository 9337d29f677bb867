//! The end of a cluster that can't be ended well. `lifecycle` has the good end.

use std::time::Duration;

use anyhow::Result;
use gochat_e2e_kubernetes::{Chat, apply, eventually, kubectl, shared};

/// Its broker can't be reached from the beginning: it never got ready, and its topics can't be deleted.
#[test]
fn a_cluster_without_its_kafka_does_not_hold_its_namespace() -> Result<()> {
    let Some(_cluster) = shared("a_cluster_without_its_kafka_does_not_hold_its_namespace") else {
        return Ok(());
    };
    // An address that nobody has (RFC 5737).
    let resource = Chat::resource("  deletion: { topics: Delete }")?;
    let resource = resource.replace(&std::env::var("E2E_KAFKA")?, "192.0.2.1:9092");
    let chat = Chat::prepare("e2e-nowhere")?;
    apply(chat.namespace(), &resource)?;
    let told = || {
        let status = chat.get(&["gochatcluster", Chat::NAME])?.to_string();
        Ok(status.contains("KafkaAway"))
    };
    eventually("the broker that is away is told", Duration::from_secs(60), told)?;
    // A minute for the topics, by default, some more for the pods, and Kubernetes looks again in ever longer pauses.
    kubectl(&["delete", "namespace", chat.namespace(), "--timeout=180s"]).map(drop)
}
