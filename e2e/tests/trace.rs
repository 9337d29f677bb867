//! One trace through separate processes and real Kafka: from a WebSocket frame through the log to its delivery.

use anyhow::Result;
use gochat_e2e::{Cluster, Collector, Encoding, Size, Socket, User};
use gochat_engines::{Engine, missing};
use serde_json::json;

const TEST: &str = "one_trace_leads_through_kafka_and_every_process_on_the_way";

#[tokio::test]
async fn one_trace_leads_through_kafka_and_every_process_on_the_way() -> Result<()> {
    if missing(TEST, &Engine::ALL) {
        return Ok(());
    }
    let collector = Collector::start().await?;
    let settings = json!({
        "telemetry": { "otlp": collector.url(), "sample_ratio": 1.0 },
        "logic": { "fanout_threshold": 2 },
    });
    let cluster = Cluster::start_with("trace", Size::default(), &settings).await?;
    let gateways = cluster.gateways();
    let (alice, bob) =
        (User::register(&gateways[0], "alice").await?, User::register(&gateways[1], "bob").await?);
    let carol = User::register(&gateways[1], "carol").await?;
    let mut at_alice = Socket::open(&gateways[0], &alice, Encoding::Proto).await?;
    let mut at_bob = Socket::open(&gateways[1], &bob, Encoding::Proto).await?;

    let chat = alice.direct_chat(&bob).await?;
    at_alice.say(chat, "m1", "hello").await?;
    at_alice.committed("m1").await?;
    assert_eq!(at_bob.message(chat).await?.1, "hello");
    // One delivery at the edge of each of the two; and no span of anything else.
    let direct = collector.wait_for(4).await?;
    assert_eq!(direct.names(), ["gateway.deliver", "gateway.deliver", "gateway.send", "logic.commit"]);
    direct.ensure_chain(&[
        ("gochat-gateway", "gateway.send"),
        ("gochat-logic", "logic.commit"),
        ("gochat-gateway", "gateway.deliver"),
    ])?;

    // Above the threshold it is the same trace, through one process more.
    let group = alice.group("lunch", &[&bob, &carol]).await?;
    at_alice.say(group, "m2", "who is in?").await?;
    assert_eq!(at_bob.message(group).await?.1, "who is in?");
    let both = collector.wait_for(direct.names().len() + 5).await?;
    both.without(&direct).ensure_chain(&[
        ("gochat-gateway", "gateway.send"),
        ("gochat-logic", "logic.commit"),
        ("gochat-task", "task.fan_out"),
        ("gochat-gateway", "gateway.deliver"),
    ])
}
