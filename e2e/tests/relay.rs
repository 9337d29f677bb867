//! A message crosses the cluster once: one record in the log per shard, one hop per gateway that has a recipient.

use anyhow::{Context, Result};
use gochat_core::{Epoch, Placement, SlotCount, UserId, Workload};
use gochat_e2e::{Cluster, Encoding, SHARDS, Size, Socket, User};
use gochat_engines::{Engine, missing};

#[tokio::test]
async fn a_message_to_another_gateway_is_one_downstream_record_and_one_relay_hop() -> Result<()> {
    if missing("a_message_to_another_gateway_is_one_downstream_record_and_one_relay_hop", &Engine::ALL) {
        return Ok(());
    }
    let cluster = Cluster::start("relay", Size::default()).await?;
    let gateways = cluster.of(Workload::Gateway);
    let members: Vec<_> = gateways.iter().map(|gateway| gateway.member().into()).collect();
    let shards = SlotCount::new(SHARDS)?;
    // Everybody's home is the gateway that the sender is at.
    let placement = Placement::dealt(Epoch(1), shards, &members[..1]);
    cluster.coord().await?.put_placement(Workload::Gateway, &placement).await?;

    let (alice, bob) = two_of_one_shard(&cluster, shards).await?;
    let chat = alice.direct_chat(&bob).await?;
    let mut at_alice = Socket::open(&gateways[0].url(), &alice, Encoding::Proto).await?;
    let mut at_bob = Socket::open(&gateways[1].url(), &bob, Encoding::Proto).await?;
    // The first one also waits for the placement to be obeyed.
    at_alice.say(chat, "warm-up", "warm-up").await?;
    at_bob.message(chat).await?;
    at_alice.committed("warm-up").await?;

    let before = counts(&cluster).await?;
    at_alice.say(chat, "counted", "counted").await?;
    assert_eq!(at_bob.message(chat).await?, (2, "counted".to_owned()));
    assert_eq!(at_alice.committed("counted").await?, 2);
    let after = counts(&cluster).await?;
    assert_eq!(after.downstream - before.downstream, 1, "downstream records");
    assert_eq!(after.relay - before.relay, 1, "relay hops");
    Ok(())
}

struct Counts {
    downstream: u64,
    relay: u64,
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small whole numbers")]
async fn counts(cluster: &Cluster) -> Result<Counts> {
    let mut counts = Counts { downstream: 0, relay: 0 };
    for gateway in cluster.of(Workload::Gateway) {
        let metrics = gateway.metrics().await?;
        counts.downstream += metrics.sum("gochat_gateway_downstream_records_total", "") as u64;
        counts.relay += metrics.sum("gochat_gateway_relay_hops_total", "") as u64;
    }
    Ok(counts)
}

async fn two_of_one_shard(cluster: &Cluster, shards: SlotCount) -> Result<(User, User)> {
    let gateway = cluster.gateway(0)?;
    let mut by_shard = std::collections::HashMap::new();
    loop {
        let user = User::register(&gateway, "user").await?;
        let shard = shards.of_user(UserId::new(user.id).context("id 0")?);
        if let Some(other) = by_shard.remove(&shard) {
            return Ok((other, user));
        }
        by_shard.insert(shard, user);
    }
}
