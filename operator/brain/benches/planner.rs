//! How long a plan for the largest cluster takes: 4,096 slots on 256 members. The aim is 10 ms.
#![allow(missing_docs, reason = "criterion's macros write an item without any")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use gochat_brain::planner::{MemberPhase, MemberState, Policy, Problem, SlotState, solve};

const SLOTS: usize = 4_096;
const MEMBERS: usize = 256;

/// SplitMix64: loads and owners look random and are the same each time.
fn scatter(i: usize, n: usize) -> usize {
    let mut z = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((z ^ (z >> 31)) % n as u64).unwrap_or_default()
}

fn problem(load: fn(usize) -> f64, owner: fn(usize) -> Option<usize>) -> Problem {
    Problem {
        slots: (0..SLOTS).map(|i| SlotState { load: load(i), owner: owner(i), pinned: false }).collect(),
        members: vec![MemberState::ACTIVE; MEMBERS],
        policy: Policy { band_absolute: 0.0, band_relative: 0.1, max_moves: usize::MAX },
    }
}

fn smooth(slot: usize) -> f64 {
    0.5 + scatter(slot, 1_000) as f64 / 1_000.0
}

/// Zipf: the hottest slots are larger than any share, so the band can't be met.
fn skewed(slot: usize) -> f64 {
    1.0 / (1 + scatter(slot, SLOTS)) as f64
}

fn plans(c: &mut Criterion) {
    let mut group = c.benchmark_group("4096x256");
    let dealt = |slot| Some(slot % MEMBERS);
    let random = |slot| Some(scatter(slot + SLOTS, MEMBERS));
    let mut drained = problem(smooth, dealt);
    drained.members.iter_mut().step_by(4).for_each(|m| m.state = MemberPhase::Draining);
    for (name, problem) in [
        ("balanced", problem(|_| 1.0, dealt)),
        ("fresh", problem(smooth, |_| None)),
        ("random_owners", problem(smooth, random)),
        ("random_owners_skewed", problem(skewed, random)),
        ("scale_out_255_to_256", problem(smooth, |slot| Some(slot % (MEMBERS - 1)))),
        ("scale_out_64_to_256", problem(smooth, |slot| Some(slot % 64))),
        ("a_quarter_drains", drained),
        ("all_on_one", problem(smooth, |_| Some(0))),
        ("all_on_one_skewed", problem(skewed, |_| Some(0))),
    ] {
        let plan = solve(&problem);
        assert!(plan.fault.is_none() && plan.complete, "{name}: {:?}", plan.fault);
        eprintln!(
            "{name}: {} moves, {:.2} → {:.2}",
            plan.moves.len(),
            plan.before.imbalance(),
            plan.after.imbalance()
        );
        group.bench_function(name, |b| b.iter(|| solve(black_box(&problem))));
    }
    group.finish();
}

criterion_group!(benches, plans);
criterion_main!(benches);
