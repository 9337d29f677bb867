//! What happens while etcd is away, and after.

use std::time::Duration;

use gochat_coord::{Change, CoordError};
use gochat_core::{Epoch, Placement, Slot, SlotCount, Workload};

use super::harness::{self, PATIENCE, acquire_all, ids, member, until, until_members};

/// Longer than the lease: what expires while etcd is away would show.
const LONG: Duration = Duration::from_millis(2500);

#[tokio::test]
async fn while_etcd_is_away_nothing_changes_and_then_all_goes_on() {
    let Some((etcd, coord)) = harness::etcd("while_etcd_is_away_nothing_changes_and_then_all_goes_on").await
    else {
        return;
    };
    let other = harness::another_process(&etcd).await;
    let slots = SlotCount::new(4).unwrap();
    let placement = Placement::dealt(Epoch(1), slots, &["a".into(), "b".into()]);
    coord.put_placement(Workload::Gateway, &placement).await.unwrap();
    let _a = coord.join(member("a")).await.unwrap();
    let _b = other.join(member("b")).await.unwrap();
    let mut members = coord.members(Workload::Gateway);
    until_members(&mut members, &["a", "b"]).await;
    let mut slots_a = coord.ownership(Workload::Gateway, slots, "a".into());
    let mut slots_b = other.ownership(Workload::Gateway, slots, "b".into());
    acquire_all(&mut slots_a, &[0, 2]).await;
    acquire_all(&mut slots_b, &[1, 3]).await;
    let claim = coord.claim("leader", "a", PATIENCE).await.unwrap();

    etcd.kill().unwrap();
    let change = tokio::time::timeout(LONG, async {
        tokio::select! {
            change = slots_a.next() => format!("a: {change:?}"),
            change = slots_b.next() => format!("b: {change:?}"),
            () = claim.lost() => "the claim is lost".into(),
            _ = members.changed() => format!("members: {:?}", ids(&members.borrow())),
        }
    });
    assert!(change.await.is_err(), "something changed while etcd was away");
    assert!(matches!(coord.ping().await, Err(CoordError::Unavailable { .. })));
    let late = tokio::spawn({
        let late = coord.session();
        async move { (late.join(member("c")).await, late) }
    });

    etcd.restart().await.unwrap();
    // Both still there, without having been away, and the one that came meanwhile.
    let seen = until("c joins", members.wait_for(|now| now.len() != 2)).await.unwrap().clone();
    assert_eq!(ids(&seen), ["a", "b", "c"]);
    let _c = until("c's join", late).await.unwrap();
    until("ping", async {
        while coord.ping().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(matches!(other.claim("leader", "b", Duration::ZERO).await, Err(CoordError::Held { .. })));

    // And it is not only the old state: a slot moves, a claim passes on.
    coord.put_placement(Workload::Gateway, &placement.with_owner(Slot(0), &"b".into())).await.unwrap();
    assert_eq!(until("release", slots_a.next()).await, Change::Release(Slot(0), Epoch(2)));
    slots_a.released(Slot(0)).await;
    assert_eq!(until("acquire", slots_b.next()).await, Change::Acquire(Slot(0), Epoch(2)));
    claim.release().await;
    until("the claim passes on", other.claim("leader", "b", PATIENCE)).await.unwrap();
}

#[tokio::test]
async fn a_process_that_starts_before_etcd_joins_when_it_is_there() {
    let Some((etcd, observer)) =
        harness::etcd("a_process_that_starts_before_etcd_joins_when_it_is_there").await
    else {
        return;
    };
    etcd.kill().unwrap();
    let early = harness::another_process(&etcd).await;
    let _member = until("join", early.join(member("early"))).await.unwrap();
    let slots = SlotCount::new(2).unwrap();
    let mut ownership = early.ownership(Workload::Gateway, slots, "early".into());
    etcd.restart().await.unwrap();
    until_members(&mut observer.members(Workload::Gateway), &["early"]).await;
    acquire_all(&mut ownership, &[0, 1]).await;
}

#[tokio::test]
async fn a_member_that_dies_while_etcd_is_away_leaves_when_it_is_back() {
    let Some((etcd, coord)) =
        harness::etcd("a_member_that_dies_while_etcd_is_away_leaves_when_it_is_back").await
    else {
        return;
    };
    let dying = harness::another_process(&etcd).await;
    let _dying = dying.join(member("dying")).await.unwrap();
    let _living = coord.join(member("living")).await.unwrap();
    let mut members = coord.members(Workload::Gateway);
    until_members(&mut members, &["dying", "living"]).await;
    etcd.kill().unwrap();
    dying.abandon().await;
    etcd.restart().await.unwrap();
    until_members(&mut members, &["living"]).await;
}
