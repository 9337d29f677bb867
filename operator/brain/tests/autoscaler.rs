//! The autoscaler on injected time. Each test reads as a transcript: what was seen, and what was said when it changed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use gochat_brain::autoscaler::{
    Autoscaler, Decision, Frozen, Limit, Observation, Policy, Reading, Reason, Signal,
};

/// 12:00:00, so that reasons show times of day.
const NOON: u64 = 43_200;

fn connections(total: f64) -> Signal {
    Signal::PerMember { name: "connections".into(), total, target_per_member: 10_000.0 }
}

fn backlog(records: u64, arrival_rate: f64) -> Signal {
    Signal::Backlog {
        records,
        drain_rate_per_member: Some(1_000.0),
        arrival_rate,
        target: Duration::from_secs(5),
    }
}

/// A workload whose pods are ready as soon as they are asked for, looked at every five seconds.
struct Play {
    autoscaler: Autoscaler,
    second: u64,
    desired: u32,
    starting: u32,
    frozen: Option<Frozen>,
    floor: u32,
    ceiling: Option<u32>,
    said: Vec<String>,
}

impl Play {
    fn of(policy: Policy, desired: u32) -> Self {
        let autoscaler = Autoscaler::new(policy);
        Self {
            autoscaler,
            second: NOON,
            desired,
            starting: 0,
            frozen: None,
            floor: 0,
            ceiling: None,
            said: Vec::new(),
        }
    }

    fn ready(&self) -> u32 {
        self.desired - self.starting
    }

    fn step(&mut self, signals: Vec<Reading>) -> Decision {
        let observed = Observation {
            ready: self.ready(),
            desired: self.desired,
            signals,
            frozen: self.frozen.clone(),
            floor: self.floor,
            ceiling: self.ceiling,
        };
        let decision = self.autoscaler.decide(Duration::from_secs(self.second), &observed);
        if decision.is_change() {
            let clock = self.second - NOON;
            self.said.push(format!("{}:{:02} {decision}", clock / 60, clock % 60));
        }
        self.desired = decision.replicas;
        self.second += 5;
        decision
    }

    fn see(&mut self, signal: &Signal) -> Decision {
        self.step(vec![Reading::fresh(signal.clone(), self.ready())])
    }

    /// The same signal for so long.
    fn keep(&mut self, signal: &Signal, seconds: u64) -> Decision {
        let mut last = self.see(signal);
        for _ in 1..seconds.div_ceil(5) {
            last = self.see(signal);
        }
        last
    }

    fn said(&self) -> String {
        self.said.join("\n")
    }
}

#[test]
fn growth_is_answered_with_headroom() {
    let mut play = Play::of(Policy::between(2, 20), 3);
    let decision = play.see(&connections(41_200.0));
    assert_eq!(decision.to_string(), "3 → 5: 41,200 connections / 10,000 per pod × 1.2 headroom");
    assert!(matches!(decision.reason, Reason::Load(_)));
}

#[test]
fn headroom_is_refilled_by_the_slow_mean_and_too_much_load_answered_by_the_quick_one() {
    let mut play = Play::of(Policy::between(2, 20), 5);
    play.keep(&connections(40_000.0), 300);
    play.keep(&connections(48_000.0), 60);
    play.keep(&connections(70_000.0), 60);
    assert_eq!(
        play.said(),
        "5:40 5 → 6: 46,000 connections / 10,000 per pod × 1.2 headroom\n\
         6:05 6 → 9: 70,000 connections / 10,000 per pod × 1.2 headroom"
    );
}

#[test]
fn members_that_come_too_late_for_a_backlog_are_not_asked_for() {
    let mut play = Play::of(Policy::between(1, 20), 4);
    // Gone in five seconds by those there are, long before another would have started.
    let decision = play.see(&backlog(5_000, 3_000.0));
    assert_eq!(
        decision.to_string(),
        "4: 3,143/s to work off with 5,000 waiting / 1,000/s per pod × 1.2 headroom is near enough"
    );
}

#[test]
fn a_need_within_the_tolerance_changes_nothing() {
    let mut play = Play::of(Policy::between(2, 20), 10);
    let decision = play.keep(&connections(90_000.0), 600);
    assert_eq!(decision.to_string(), "10: 90,000 connections / 10,000 per pod × 1.2 headroom is near enough");
    assert_eq!(play.said(), "");
}

#[test]
fn a_load_that_halves_is_followed_down_one_drain_at_a_time_after_the_stabilisation_window() {
    let mut play = Play::of(Policy::between(2, 20), 5);
    play.keep(&connections(41_000.0), 60);
    let decision = play.keep(&connections(20_000.0), 120);
    assert_eq!(
        decision.to_string(),
        "5: 20,000 connections / 10,000 per pod × 1.2 headroom would need 3; waiting until 12:06:15 to be sure"
    );
    play.keep(&connections(20_000.0), 900);
    assert_eq!(
        play.said(),
        "6:15 5 → 4: 20,000 connections / 10,000 per pod × 1.2 headroom\n\
         7:15 4 → 3: 20,000 connections / 10,000 per pod × 1.2 headroom"
    );
}

#[test]
fn a_short_lull_takes_nothing_away() {
    let mut play = Play::of(Policy::between(2, 20), 5);
    for _ in 0..10 {
        play.keep(&connections(41_000.0), 120);
        play.keep(&connections(15_000.0), 240);
    }
    assert_eq!(play.said(), "");
}

#[test]
fn a_flood_panics_and_a_panic_takes_nothing_back() {
    let mut play = Play::of(Policy::between(2, 20), 3);
    play.keep(&connections(20_000.0), 60);
    play.keep(&connections(120_000.0), 30);
    let decision = play.keep(&connections(20_000.0), 30);
    assert_eq!(
        decision.to_string(),
        "14: 70,000 connections / 10,000 per pod × 1.2 headroom would need 9; none is removed in a panic; panic since 12:01:00"
    );
    play.keep(&connections(20_000.0), 320);
    assert_eq!(
        play.said(),
        "1:00 3 → 7: 70,000 connections / 10,000 per pod × 1.2 headroom; at most 7 in this step; panic since 12:01:00\n\
         1:15 7 → 14: 120,000 connections / 10,000 per pod × 1.2 headroom; at most 14 in this step; panic since 12:01:00\n\
         6:55 14 → 13: 20,000 connections / 10,000 per pod × 1.2 headroom; at least 13 in this step"
    );
}

#[test]
fn steps_hold_in_a_panic_too() {
    let mut play = Play::of(Policy::between(1, 100), 2);
    play.keep(&connections(500_000.0), 60);
    let sizes: Vec<&str> =
        play.said.iter().map(|line| line.split(':').nth(1).unwrap().split_at(3).1).collect();
    assert_eq!(sizes, ["2 → 6", "6 → 12", "12 → 24", "24 → 48"]);
}

#[test]
fn missing_data_takes_nothing_away_and_an_outage_starts_the_wait_anew() {
    let mut play = Play::of(Policy::between(2, 20), 5);
    play.keep(&connections(20_000.0), 240);
    for _ in 0..60 {
        let decision = play.step(vec![Reading::missing("connections")]);
        assert_eq!(decision.to_string(), "5: held: no data of connections");
    }
    play.keep(&connections(20_000.0), 290);
    assert_eq!(play.said(), "");
    play.keep(&connections(20_000.0), 60);
    assert_eq!(play.desired, 4);
}

#[test]
fn what_is_known_may_add_while_something_else_is_missing() {
    let mut play = Play::of(Policy::between(2, 20), 3);
    let seen = vec![Reading::fresh(connections(60_000.0), 3), Reading::missing("cpu cores")];
    let decision = play.step(seen);
    assert_eq!(
        decision.to_string(),
        "3 → 7: 60,000 connections / 10,000 per pod × 1.2 headroom; at most 7 in this step; \
         panic since 12:00:00; no data of cpu cores"
    );
}

#[test]
fn an_old_reading_is_no_reading() {
    let mut play = Play::of(Policy::between(2, 20), 5);
    let old = Reading::Measured { signal: connections(0.0), age: Duration::from_secs(16), members: 5 };
    assert_eq!(play.step(vec![old]).to_string(), "5: held: no data of connections");
}

#[test]
fn a_reading_of_some_members_may_add_and_not_remove() {
    let mut play = Play::of(Policy::between(2, 20), 5);
    for _ in 0..200 {
        play.step(vec![Reading::fresh(connections(10_000.0), 4)]);
    }
    assert_eq!(play.desired, 5);
    play.second += 600;
    let decision = play.step(vec![Reading::fresh(connections(70_000.0), 4)]);
    assert_eq!(decision.replicas, 9);
}

#[test]
fn the_largest_answer_wins() {
    let mut play = Play::of(Policy::between(1, 20), 2);
    let cpu = Signal::PerMember { name: "cpu cores".into(), total: 2.8, target_per_member: 0.7 };
    let seen = vec![Reading::fresh(connections(11_000.0), 2), Reading::fresh(cpu, 2)];
    let decision = play.step(seen);
    assert_eq!(
        decision.to_string(),
        "2 → 5: 2.8 cpu cores / 0.7 per pod × 1.2 headroom; panic since 12:00:00"
    );
}

#[test]
fn a_backlog_is_worked_off_in_its_time() {
    let mut play = Play::of(Policy::between(1, 20), 2);
    let decision = play.see(&backlog(60_000, 1_500.0));
    assert_eq!(
        decision.to_string(),
        "2 → 4: 3,214/s to work off with 60,000 waiting / 1,000/s per pod × 1.2 headroom"
    );
}

#[test]
fn a_backlog_has_no_use_for_more_members_than_partitions() {
    let mut play = Play::of(Policy::between(1, 20), 6);
    play.ceiling = Some(8);
    let decision = play.see(&backlog(600_000, 1_000.0));
    assert_eq!((decision.replicas, decision.limited_by), (8, Some(Limit::Ceiling(8))));
    assert!(decision.to_string().contains("; there is no work for more than 8"), "{decision}");
}

#[test]
fn an_idle_consumer_of_unknown_speed_is_left_to_the_other_signals() {
    let idle = Signal::Backlog {
        records: 20,
        drain_rate_per_member: None,
        arrival_rate: 100.0,
        target: Duration::from_secs(5),
    };
    let mut play = Play::of(Policy::between(1, 20), 4);
    assert_eq!(play.see(&idle).to_string(), "4: held: no signal says how many");
    let cpu = Signal::PerMember { name: "cpu cores".into(), total: 0.7, target_per_member: 0.7 };
    for _ in 0..400 {
        play.step(vec![
            Reading::fresh(idle.clone(), play.ready()),
            Reading::fresh(cpu.clone(), play.ready()),
        ]);
    }
    assert_eq!(play.desired, 2);
}

#[test]
fn latency_asks_for_more_or_for_what_there_is_and_never_for_fewer() {
    let latency = |millis| Signal::Latency {
        name: "repo calls".into(),
        p99: Duration::from_millis(millis),
        target: Duration::from_millis(20),
    };
    let mut play = Play::of(Policy::between(1, 20), 2);
    assert_eq!(play.see(&latency(30)).to_string(), "2 → 3: p99 of repo calls is 30 ms, target 20 ms");
    play.second += 60;
    play.keep(&latency(12), 900);
    assert_eq!(play.desired, 3, "it would be slow again with fewer");
    let calls = Signal::PerMember { name: "calls in flight".into(), total: 10.0, target_per_member: 64.0 };
    for _ in 0..400 {
        play.step(vec![
            Reading::fresh(latency(5), play.ready()),
            Reading::fresh(calls.clone(), play.ready()),
        ]);
    }
    assert_eq!(play.desired, 1, "far from slow, the load decides");
}

#[test]
fn a_latency_at_most_doubles_begins_no_panic_and_never_asks_for_less_than_what_is_on_its_way() {
    let slow = Signal::Latency {
        name: "repo calls".into(),
        p99: Duration::from_millis(400),
        target: Duration::from_millis(20),
    };
    let mut play = Play::of(Policy::between(1, 40), 6);
    let decision = play.see(&slow);
    assert_eq!((decision.replicas, decision.panic_since), (12, None));

    let mut play = Play::of(Policy::between(1, 40), 6);
    play.starting = 4;
    assert_eq!(play.keep(&slow, 900).replicas, 6, "two are slow, four more are coming");
}

#[test]
fn a_busy_consumer_of_unknown_speed_is_not_made_smaller_by_other_signals() {
    let behind = Signal::Backlog {
        records: 50_000,
        drain_rate_per_member: None,
        arrival_rate: 100.0,
        target: Duration::from_secs(5),
    };
    let cpu = Signal::PerMember { name: "cpu cores".into(), total: 0.7, target_per_member: 0.7 };
    let mut play = Play::of(Policy::between(1, 20), 4);
    for _ in 0..400 {
        let seen = vec![Reading::fresh(behind.clone(), 4), Reading::fresh(cpu.clone(), 4)];
        assert_eq!(play.step(seen).to_string(), "4: held: no data of backlog");
    }
}

#[test]
fn a_rollout_freezes_what_can_wait_and_not_what_is_needed_now() {
    for frozen in [Frozen::Rollout, Frozen::Handover] {
        let mut play = Play::of(Policy::between(2, 20), 4);
        play.frozen = Some(frozen);
        let decision = play.keep(&connections(38_000.0), 60);
        assert!(decision.to_string().starts_with("4: would be 5, but "), "headroom waits: {decision}");
        play.keep(&connections(10_000.0), 900);
        assert_eq!(play.desired, 4, "nothing is removed");
        play.keep(&connections(45_000.0), 60);
        assert_eq!(play.desired, 6, "load beyond the targets doesn't wait");
    }
}

#[test]
fn a_dependency_that_is_away_freezes_everything() {
    let mut play = Play::of(Policy::between(2, 20), 4);
    play.frozen = Some(Frozen::Dependency { what: "mysql".into() });
    let decision = play.keep(&backlog(1_000_000, 3_000.0), 300);
    assert_eq!(decision.to_string(), "4: held: mysql is away");
    assert_eq!(decision.panic_since, None);
    play.frozen = None;
    assert!(play.see(&backlog(1_000_000, 3_000.0)).replicas > 4, "what has piled up is worked off");
}

#[test]
fn the_bounds_hold_whatever_else_is_said() {
    let mut play = Play::of(Policy::between(3, 6), 1);
    let decision = play.step(vec![Reading::missing("connections")]);
    assert_eq!(decision.to_string(), "1 → 3: set by the bounds; min is 3; no data of connections");
    play.floor = 5;
    assert_eq!(
        play.see(&connections(1_000.0)).to_string(),
        "3 → 5: 1,000 connections / 10,000 per pod × 1.2 headroom; slots and drains need 5"
    );
    play.floor = 9;
    assert_eq!(play.see(&connections(1_000.0)).replicas, 6, "max is the person's word");
}

#[test]
fn a_new_autoscaler_keeps_what_it_finds_for_a_whole_window() {
    let mut play = Play::of(Policy::between(2, 20), 12);
    play.keep(&connections(10_000.0), 300);
    assert_eq!(play.desired, 12);
    play.see(&connections(10_000.0));
    assert_eq!(play.desired, 11);
}

#[test]
fn a_decision_that_nobody_applied_is_made_again() {
    let mut autoscaler = Autoscaler::new(Policy::between(2, 50));
    let observed = Observation {
        ready: 4,
        desired: 4,
        signals: vec![Reading::fresh(connections(200_000.0), 4)],
        frozen: None,
        floor: 0,
        ceiling: None,
    };
    for second in 0..120 {
        assert_eq!(autoscaler.decide(Duration::from_secs(second), &observed).replicas, 8);
    }
}

#[test]
fn the_state_survives_a_dump_as_json() {
    let mut play = Play::of(Policy::between(2, 20), 5);
    play.keep(&connections(20_000.0), 200);
    play.keep(&connections(90_000.0), 20);
    let dump = serde_json::to_string(&play.autoscaler).unwrap();
    assert_eq!(serde_json::from_str::<Autoscaler>(&dump).unwrap(), play.autoscaler);
}
