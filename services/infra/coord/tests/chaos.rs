//! Members that come, drain, lose their leases and die while slots are moved, on the in-process backend and on
//! paused time: whatever happened, in the end every slot is worked on by its owner and by nobody else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gochat_coord::{Change, Coord, CoordConfig, Member, Membership};
use gochat_core::{Epoch, MemberId, Placement, Slot, SlotCount, Workload};
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::task::JoinHandle;
use tokio::time::sleep;

const SLOTS: u32 = 8;
const MEMBERS: usize = 4;
/// Longer than any handover, any lease and any retry.
const CALM: Duration = Duration::from_secs(20);

/// Who works on what: (slot, member).
#[derive(Default)]
struct Board {
    working: BTreeSet<(Slot, usize)>,
    /// Two on one slot, without a lease that was over.
    overlaps: Vec<(Slot, usize)>,
    lease_ended: bool,
}

struct Running {
    coord: Coord,
    membership: Membership,
    worker: JoinHandle<()>,
}

#[derive(Clone, Debug)]
enum Happening {
    Join(usize),
    /// Goes with all it has, in good order.
    Leave(usize),
    Kill(usize),
    Expire(usize),
    Drain(usize, bool),
    Place(u32, usize),
    Pass(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let member = 0..MEMBERS;
    prop_oneof![
        6 => member.clone().prop_map(Happening::Join),
        2 => member.clone().prop_map(Happening::Leave),
        2 => member.clone().prop_map(Happening::Kill),
        1 => member.clone().prop_map(Happening::Expire),
        2 => (member.clone(), any::<bool>()).prop_map(|(m, d)| Happening::Drain(m, d)),
        6 => (0..SLOTS, member).prop_map(|(s, m)| Happening::Place(s, m)),
        8 => (0u64..1500).prop_map(Happening::Pass),
    ]
}

fn id(m: usize) -> MemberId {
    format!("m-{m}").as_str().into()
}

fn member(m: usize, draining: bool) -> Member {
    Member { id: id(m), workload: Workload::Logic, address: format!("http://m-{m}"), draining }
}

async fn start(coord: Coord, m: usize, board: Arc<Mutex<Board>>) -> Running {
    let membership = coord.join(member(m, false)).await.unwrap();
    let mut ownership = coord.ownership(Workload::Logic, SlotCount::new(SLOTS).unwrap(), id(m));
    let worker = tokio::spawn(async move {
        loop {
            match ownership.next().await {
                Change::Acquire(slot, _) => {
                    let mut board = board.lock();
                    if !board.lease_ended && board.working.iter().any(|(s, _)| *s == slot) {
                        board.overlaps.push((slot, m));
                    }
                    assert!(board.working.insert((slot, m)), "acquired twice");
                }
                Change::Release(slot, _) => {
                    // What is under way is finished, well within the handover's time.
                    sleep(Duration::from_millis(20)).await;
                    assert!(board.lock().working.remove(&(slot, m)), "released what it never had");
                    ownership.released(slot).await;
                }
            }
        }
    });
    Running { coord, membership, worker }
}

async fn end(running: Running, m: usize, board: &Mutex<Board>) -> (Coord, Membership) {
    // In one step: from the abort on it does nothing, and its successors may be told while it is awaited.
    running.worker.abort();
    board.lock().working.retain(|(_, worker)| *worker != m);
    let result = running.worker.await;
    assert!(result.unwrap_err().is_cancelled(), "the worker has failed");
    (running.coord, running.membership)
}

async fn play(happenings: Vec<Happening>) {
    let coord = Coord::connect(&CoordConfig::default()).await.unwrap();
    let slots = SlotCount::new(SLOTS).unwrap();
    let board = Arc::new(Mutex::new(Board::default()));
    let mut placement = Placement::dealt(Epoch(1), slots, &[id(0)]);
    let mut running: Vec<Option<Running>> = (0..MEMBERS).map(|_| None).collect();
    let mut owners = coord.owners(Workload::Logic, slots);
    for happening in happenings {
        match happening {
            Happening::Join(m) if running[m].is_none() => {
                running[m] = Some(start(coord.session(), m, Arc::clone(&board)).await);
            }
            Happening::Leave(m) => {
                if let Some(member) = running[m].take() {
                    end(member, m, &board).await.1.leave().await;
                }
            }
            Happening::Kill(m) => {
                if let Some(member) = running[m].take() {
                    let (coord, _membership) = end(member, m, &board).await;
                    coord.abandon().await;
                }
            }
            Happening::Expire(m) => {
                if let Some(member) = &running[m] {
                    board.lock().lease_ended = true;
                    member.coord.expire().await;
                }
            }
            Happening::Drain(m, draining) => {
                if let Some(running) = &running[m] {
                    running.membership.update(member(m, draining)).await.unwrap();
                }
            }
            Happening::Place(slot, m) => {
                placement = placement.with_owner(Slot(slot), &id(m));
                coord.put_placement(Workload::Logic, &placement).await.unwrap();
            }
            Happening::Pass(ms) => sleep(Duration::from_millis(ms)).await,
            Happening::Join(_) => {}
        }
    }
    sleep(CALM).await;
    let expected: BTreeSet<(Slot, usize)> = {
        let owners = owners.borrow_and_update();
        let index = |m: &Member| (0..MEMBERS).find(|i| id(*i) == m.id).unwrap();
        slots.slots().filter_map(|s| Some((s, owners.by_slot[s.index()].as_ref().map(index)?))).collect()
    };
    let alive = running.iter().any(Option::is_some);
    assert_eq!(
        expected.len(),
        if alive { SLOTS as usize } else { 0 },
        "every slot has an owner while one lives"
    );
    let board = board.lock();
    assert_eq!(board.working, expected);
    assert_eq!(board.overlaps, [], "two members worked on a slot");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_slot_ends_with_its_owner(happenings in proptest::collection::vec(happening(), 0..40)) {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(play(happenings));
    }
}
