//! Slots move between processes under load: no socket closes and nothing accepted is lost.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gochat_core::{Placement, Slot, SlotCount, UserId, Workload};
use gochat_e2e::{Cluster, Encoding, Load, PARTITIONS, SHARDS, Size, Socket, User};
use gochat_engines::{Engine, missing};

#[tokio::test]
async fn a_shard_moves_between_gateways_and_nobody_notices() -> Result<()> {
    if missing("a_shard_moves_between_gateways_and_nobody_notices", &Engine::ALL) {
        return Ok(());
    }
    let cluster = Cluster::start("moves-gateway", Size::default()).await?;
    let gateways = cluster.gateways();
    let (alice, bob) =
        (User::register(&gateways[0], "alice").await?, User::register(&gateways[1], "bob").await?);
    let chat = alice.direct_chat(&bob).await?;
    let bobs_shard = SlotCount::new(SHARDS)?.of_user(UserId::new(bob.id).context("id 0")?);
    let mut people = (
        Socket::open(&gateways[0], &alice, Encoding::Proto).await?,
        Socket::open(&gateways[1], &bob, Encoding::Proto).await?,
    );
    let placement = cluster.deal(Workload::Gateway, SHARDS).await?;
    move_under_load(&cluster, Workload::Gateway, placement, bobs_shard, &mut people, chat).await
}

#[tokio::test]
async fn a_partition_moves_between_logics_and_nobody_notices() -> Result<()> {
    if missing("a_partition_moves_between_logics_and_nobody_notices", &Engine::ALL) {
        return Ok(());
    }
    let cluster = Cluster::start("moves-logic", Size::default()).await?;
    let gateways = cluster.gateways();
    let (alice, bob) =
        (User::register(&gateways[0], "alice").await?, User::register(&gateways[1], "bob").await?);
    let chat = alice.direct_chat(&bob).await?;
    let id = gochat_core::ConversationId::new(chat).context("id 0")?;
    let partition = SlotCount::new(PARTITIONS)?.of_conversation(id);
    let mut people = (
        Socket::open(&gateways[0], &alice, Encoding::Proto).await?,
        Socket::open(&gateways[1], &bob, Encoding::Proto).await?,
    );
    let placement = cluster.deal(Workload::Logic, PARTITIONS).await?;
    move_under_load(&cluster, Workload::Logic, placement, partition, &mut people, chat).await
}

/// Moves the slot to and fro while a load runs and two people go on talking through it on the same two sockets.
async fn move_under_load(
    cluster: &Cluster,
    workload: Workload,
    mut placement: Placement,
    slot: Slot,
    (alice, bob): &mut (Socket, Socket),
    chat: u64,
) -> Result<()> {
    let coord = cluster.coord().await?;
    let load = Load::start(cluster, "load", &["--pairs", "20", "--rate", "100", "--duration", "10s"]).await?;
    load.under_way(cluster).await?;
    let members = placement.members.clone();
    for round in 0..4_u64 {
        let owner = placement.owner(slot).context("the slot has an owner")?;
        let to = members.iter().find(|member| *member != owner).context("another member")?;
        placement = placement.with_owner(slot, to);
        coord.put_placement(workload, &placement).await?;
        // Some of these travel before, some during and some after the handover.
        for part in 0..25 {
            let text = format!("{round}-{part}");
            alice.say(chat, &text, &text).await?;
            let (seq, got) = bob.message(chat).await?;
            ensure!(got == text && seq == round * 25 + part + 1, "got {got:?} as {seq}, not {text:?}");
        }
        cluster.slot_is_held_by(workload, slot, to).await?;
    }
    let report = load.report(Duration::from_mins(2)).await?;
    report.ensure_clean()?;
    report.ensure_delivered_within(Duration::from_secs(5))?;
    ensure!(report.number("reconnects") == 0.0, "a socket closed:\n{}", report.text);
    Ok(())
}
