//! What happens while the backend is away, and after.

use std::time::Duration;

use gochat_coord::{Change, CoordError};
use gochat_core::{Epoch, Placement, Slot, SlotCount, Workload};

use super::harness::{Backend, PATIENCE, acquire_all, ids, member, until, until_members};

async fn while_it_is_away_nothing_changes_and_then_all_goes_on(backend: Backend) {
    let coord = backend.another_process().await;
    let other = backend.another_process().await;
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

    backend.kill();
    // Longer than the lease: what expires meanwhile would show.
    let change = tokio::time::timeout(backend.ttl() * 5 / 2, async {
        tokio::select! {
            change = slots_a.next() => format!("a: {change:?}"),
            change = slots_b.next() => format!("b: {change:?}"),
            () = claim.lost() => "the claim is lost".into(),
            _ = members.changed() => format!("members: {:?}", ids(&members.borrow())),
        }
    });
    assert!(change.await.is_err(), "something changed while it was away");
    assert!(matches!(coord.ping().await, Err(CoordError::Unavailable { .. })));
    let late = tokio::spawn({
        let late = coord.session();
        async move { (late.join(member("c")).await, late) }
    });

    backend.restart().await;
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

async fn a_process_that_starts_before_it_joins_when_it_is_there(backend: Backend) {
    let observer = backend.another_process().await;
    backend.kill();
    let early = backend.another_process().await;
    let _member = until("join", early.join(member("early"))).await.unwrap();
    let slots = SlotCount::new(2).unwrap();
    let mut ownership = early.ownership(Workload::Gateway, slots, "early".into());
    backend.restart().await;
    until_members(&mut observer.members(Workload::Gateway), &["early"]).await;
    acquire_all(&mut ownership, &[0, 1]).await;
}

async fn a_member_that_dies_while_it_is_away_leaves_when_it_is_back(backend: Backend) {
    let coord = backend.another_process().await;
    let dying = backend.another_process().await;
    let _dying = dying.join(member("dying")).await.unwrap();
    let _living = coord.join(member("living")).await.unwrap();
    let mut members = coord.members(Workload::Gateway);
    until_members(&mut members, &["dying", "living"]).await;
    backend.kill();
    dying.abandon().await;
    backend.restart().await;
    until_members(&mut members, &["living"]).await;
}

macro_rules! outages {
    ($($test:ident),* $(,)?) => {
        mod etcd {
            $(#[tokio::test] async fn $test() {
                let Some(etcd) = crate::harness::etcd(stringify!($test)).await else { return };
                super::$test(etcd).await;
            })*
        }
        mod kubernetes {
            $(#[tokio::test] async fn $test() {
                let Some(kubernetes) = crate::harness::kubernetes(stringify!($test)).await else { return };
                super::$test(kubernetes).await;
            })*
        }
    };
}

outages!(
    while_it_is_away_nothing_changes_and_then_all_goes_on,
    a_process_that_starts_before_it_joins_when_it_is_there,
    a_member_that_dies_while_it_is_away_leaves_when_it_is_back,
);
