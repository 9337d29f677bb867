//! What every backend of coordination promises: one suite, run in process, on a real etcd and on a real
//! Kubernetes API.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail by panicking"
)]

mod harness;
mod kubernetes_api;
mod outage;

use std::time::Duration;

use bytes::Bytes;
use gochat_coord::{Change, Claim, Coord, CoordError, Member, Owners};
use gochat_core::{Epoch, Placement, Slot, SlotCount, Workload};

use harness::{PATIENCE, acquire_all, ids, member, until, until_members};

fn holder(result: Result<Claim, CoordError>) -> String {
    match result {
        Err(CoordError::Held { holder, .. }) => holder,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the claim was got"),
    }
}

async fn members_come_and_go(coord: Coord) {
    let mut members = coord.members(Workload::Gateway);
    let a = until("join", coord.join(member("a"))).await.unwrap();
    let other = coord.session();
    let b = other.join(member("b")).await.unwrap();
    let _logic = other.join(Member { workload: Workload::Logic, ..member("c") }).await.unwrap();
    until_members(&mut members, &["a", "b"]).await;

    a.update(Member { draining: true, ..member("a") }).await.unwrap();
    let draining = until("draining", members.wait_for(|now| now[0].draining)).await.unwrap().clone();
    assert_eq!(ids(&draining), ["a", "b"]);

    a.leave().await;
    until_members(&mut members, &["b"]).await;
    drop(b);
    until_members(&mut members, &[]).await;
}

async fn a_killed_process_leaves_with_its_lease(coord: Coord) {
    let mut members = coord.members(Workload::Gateway);
    let dying = coord.session();
    let _membership = dying.join(member("dying")).await.unwrap();
    let _claim = until("claim", dying.claim("leader", "dying", PATIENCE)).await.unwrap();
    let _other = coord.join(member("other")).await.unwrap();
    until_members(&mut members, &["dying", "other"]).await;

    dying.abandon().await;
    until_members(&mut members, &["other"]).await;
    until("the claim is free", coord.claim("leader", "other", PATIENCE)).await.unwrap();
}

async fn a_dropped_session_frees_everything(coord: Coord) {
    let mut members = coord.members(Workload::Gateway);
    let session = coord.session();
    let membership = session.join(member("a")).await.unwrap();
    let claim = session.claim("leader", "a", PATIENCE).await.unwrap();
    until_members(&mut members, &["a"]).await;
    drop((membership, claim, session));
    until_members(&mut members, &[]).await;
    until("the claim is free", coord.claim("leader", "b", PATIENCE)).await.unwrap();
}

async fn a_lease_that_was_lost_is_made_good(coord: Coord) {
    let mut members = coord.members(Workload::Gateway);
    let session = coord.session();
    let _membership = session.join(member("a")).await.unwrap();
    let kept = session.claim("kept", "a", PATIENCE).await.unwrap();
    let lost = session.claim("lost", "a", PATIENCE).await.unwrap();
    until_members(&mut members, &["a"]).await;

    // The other waits for one of the two claims, and gets it in the moment when the lease ends.
    let rival = coord.session();
    let waiting = tokio::spawn(async move {
        let claim = rival.claim("lost", "rival", PATIENCE / 6).await;
        (rival, claim)
    });
    let mut view = coord.watch("kept");
    until("both are held", view.wait_for(Option::is_some)).await.unwrap();
    // Out of `a`'s hands before its session can know: then only the rival can have it.
    session.expire().await;
    until_members(&mut members, &["a"]).await;
    let (_rival, got) = until("the rival's claim", waiting).await.unwrap();
    if got.is_ok() {
        until("the loss is told", lost.lost()).await;
    }
    until("the kept claim is written again", view.wait_for(Option::is_some)).await.unwrap();
    let still = tokio::time::timeout(Duration::from_millis(10), kept.lost()).await;
    assert!(still.is_err(), "a claim that nobody took is not lost");
}

async fn a_late_release_takes_nothing_from_the_next_holder(coord: Coord) {
    let session = coord.session();
    let claim = until("claim", session.claim("leader", "first", PATIENCE)).await.unwrap();
    let rival = coord.session();
    let waiting = tokio::spawn({
        let rival = rival.clone();
        async move { rival.claim("leader", "second", PATIENCE).await }
    });
    session.abandon().await;
    let second = until("the lease is over", waiting).await.unwrap().unwrap();
    claim.release().await;
    drop(session);
    assert_eq!(coord.get("leader").await.unwrap().as_deref(), Some(&b"second"[..]));
    drop(second);
}

async fn a_claim_is_held_by_one_at_a_time(coord: Coord) {
    let other = coord.session();
    let claim = until("claim", coord.claim("leader", "first", PATIENCE)).await.unwrap();
    assert_eq!(holder(other.claim("leader", "second", Duration::ZERO).await), "first");
    assert_eq!(holder(coord.claim("leader", "again", Duration::ZERO).await), "this session");
    let free = other.claim("leader-2", "second", PATIENCE).await.unwrap();

    let waiting = tokio::spawn({
        let other = other.clone();
        async move { other.claim("leader", "second", PATIENCE).await }
    });
    claim.release().await;
    let second = until("the release is seen", waiting).await.unwrap().unwrap();
    assert_eq!(holder(coord.claim("leader", "first", Duration::ZERO).await), "second");

    drop(second);
    let again = until("a dropped claim is free", coord.claim("leader", "first", PATIENCE)).await.unwrap();
    drop((again, free));

    // Given up and wanted again before the backend has heard of it.
    drop(coord.claim("once more", "1", PATIENCE).await.unwrap());
    let _claim = coord.claim("once more", "2", Duration::ZERO).await.unwrap();
    assert_eq!(coord.get("once more").await.unwrap().as_deref(), Some(&b"2"[..]));
}

async fn values_are_watched_and_compared(coord: Coord) {
    let mut value = coord.watch("config/limits");
    assert_eq!(coord.get("config/limits").await.unwrap(), None);
    coord.put("config/limits", Bytes::from("1")).await.unwrap();
    until("the first", value.wait_for(|v| v.as_deref() == Some(b"1"))).await.unwrap();
    coord.session().put("config/limits", Bytes::from("2")).await.unwrap();
    until("the second", value.wait_for(|v| v.as_deref() == Some(b"2"))).await.unwrap();
    assert_eq!(coord.get("config/limits").await.unwrap().as_deref(), Some(&b"2"[..]));

    let stale = coord.compare_and_put("config/limits", Some(&Bytes::from("1")), Bytes::from("3")).await;
    assert!(matches!(stale, Err(CoordError::Held { .. })));
    assert!(coord.compare_and_put("config/limits", None, Bytes::from("3")).await.is_err());
    coord.compare_and_put("config/limits", Some(&Bytes::from("2")), Bytes::from("3")).await.unwrap();
    coord.compare_and_put("config/new", None, Bytes::from("1")).await.unwrap();
    until("the third", value.wait_for(|v| v.as_deref() == Some(b"3"))).await.unwrap();
}

async fn an_older_placement_is_refused(coord: Coord) {
    let slots = SlotCount::new(8).unwrap();
    let first = Placement::dealt(Epoch(5), slots, &["a".into(), "b".into()]);
    let mut placement = coord.placement(Workload::Gateway);
    assert_eq!(placement.borrow().epoch, Epoch(0));
    coord.put_placement(Workload::Gateway, &first).await.unwrap();
    until("the first", placement.wait_for(|p| **p == first)).await.unwrap();

    for epoch in [4, 5] {
        let older = Placement { epoch: Epoch(epoch), ..first.clone() };
        let refused = coord.put_placement(Workload::Gateway, &older).await;
        assert!(matches!(refused, Err(CoordError::Held { .. })), "epoch {epoch}");
    }
    let invalid = Placement { epoch: Epoch(9), members: vec![], owners: vec![0] };
    assert!(coord.put_placement(Workload::Gateway, &invalid).await.is_err());

    // Somebody else's writes past the check: not taken by those who watch, where the backend takes them at all.
    let _ = coord.put("placement/gateway", Bytes::from("{")).await;
    let old = serde_json::to_vec(&Placement { epoch: Epoch(2), ..first.clone() }).unwrap();
    let _ = coord.put("placement/gateway", old.into()).await;
    let next = first.with_owner(Slot(0), &"b".into());
    coord.put_placement(Workload::Gateway, &next).await.unwrap();
    placement.mark_unchanged();
    until("the next", placement.wait_for(|p| p.epoch >= Epoch(6))).await.unwrap();
    assert_eq!(**placement.borrow(), next);
}

async fn slots_are_handed_over(coord: Coord) {
    let slots = SlotCount::new(4).unwrap();
    let placement = Placement::dealt(Epoch(1), slots, &["a".into()]);
    coord.put_placement(Workload::Gateway, &placement).await.unwrap();
    let (a, b) = (coord.clone(), coord.session());
    let member_a = a.join(member("a")).await.unwrap();
    let mut slots_a = a.ownership(Workload::Gateway, slots, "a".into());
    acquire_all(&mut slots_a, &[0, 1, 2, 3]).await;
    let _member_b = b.join(member("b")).await.unwrap();
    let mut slots_b = b.ownership(Workload::Gateway, slots, "b".into());

    // One slot moves: b waits for a.
    coord.put_placement(Workload::Gateway, &placement.with_owner(Slot(2), &"b".into())).await.unwrap();
    let mut owners = slots_b.owners();
    let owner = |owners: &Owners| owners.by_slot[2].as_ref().map(|m| m.address.clone());
    until("b owns slot 2", owners.wait_for(|o| owner(o).as_deref() == Some("http://b:9003"))).await.unwrap();
    assert_eq!(until("release", slots_a.next()).await, Change::Release(Slot(2), Epoch(2)));
    assert!(
        tokio::time::timeout(Duration::from_millis(100), slots_b.next()).await.is_err(),
        "a has not released"
    );
    let ((), change) = tokio::join!(slots_a.released(Slot(2)), until("acquire", slots_b.next()));
    assert_eq!(change, Change::Acquire(Slot(2), Epoch(2)));

    // a drains: everything goes to b.
    member_a.update(Member { draining: true, ..member("a") }).await.unwrap();
    for _ in 0..3 {
        let Change::Release(slot, _) = until("release", slots_a.next()).await else { panic!("acquired") };
        slots_a.released(slot).await;
    }
    acquire_all(&mut slots_b, &[0, 1, 3]).await;
}

async fn a_dead_members_slots_are_taken(coord: Coord) {
    let slots = SlotCount::new(4).unwrap();
    let dying = coord.session();
    let _member = dying.join(member("dying")).await.unwrap();
    let mut ownership = dying.ownership(Workload::Gateway, slots, "dying".into());
    acquire_all(&mut ownership, &[0, 1, 2, 3]).await;
    let placement = Placement::dealt(Epoch(1), slots, &["dying".into()]);
    coord.put_placement(Workload::Gateway, &placement).await.unwrap();
    let _member = coord.join(member("heir")).await.unwrap();
    let mut heir = coord.ownership(Workload::Gateway, slots, "heir".into());
    dying.abandon().await;
    acquire_all(&mut heir, &[0, 1, 2, 3]).await;
}

async fn an_overdue_slot_is_taken_and_its_worker_told(coord: Coord) {
    let slots = SlotCount::new(1).unwrap();
    let placement = Placement::dealt(Epoch(1), slots, &["a".into()]);
    coord.put_placement(Workload::Gateway, &placement).await.unwrap();
    let (a, b) = (coord.clone(), coord.session());
    let _a = a.join(member("a")).await.unwrap();
    let mut slots_a = a.ownership(Workload::Gateway, slots, "a".into());
    acquire_all(&mut slots_a, &[0]).await;
    let _b = b.join(member("b")).await.unwrap();
    let mut slots_b = b.ownership(Workload::Gateway, slots, "b".into());
    coord.put_placement(Workload::Gateway, &placement.with_owner(Slot(0), &"b".into())).await.unwrap();
    // a never says that it has released.
    assert_eq!(until("taken", slots_b.next()).await, Change::Acquire(Slot(0), Epoch(2)));
    assert_eq!(until("told", slots_a.next()).await, Change::Release(Slot(0), Epoch(2)));
}

macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod in_process {
            $(#[tokio::test] async fn $test() {
                super::$test(super::harness::in_process().await).await;
            })*
        }
        mod etcd {
            $(#[tokio::test] async fn $test() {
                let Some(etcd) = super::harness::etcd(stringify!($test)).await else { return };
                super::$test(etcd.another_process().await).await;
            })*
        }
        mod kubernetes {
            $(#[tokio::test] async fn $test() {
                let Some((_, kubernetes)) = super::harness::shared_kubernetes(stringify!($test)).await else { return };
                super::$test(kubernetes.another_process().await).await;
            })*
        }
    };
}

contract!(
    members_come_and_go,
    a_killed_process_leaves_with_its_lease,
    a_dropped_session_frees_everything,
    a_lease_that_was_lost_is_made_good,
    a_late_release_takes_nothing_from_the_next_holder,
    a_claim_is_held_by_one_at_a_time,
    values_are_watched_and_compared,
    an_older_placement_is_refused,
    slots_are_handed_over,
    a_dead_members_slots_are_taken,
    an_overdue_slot_is_taken_and_its_worker_told,
);
