//! What holds for every load, outage and freeze.

use std::time::Duration;

use gochat_brain::autoscaler::{Autoscaler, Frozen, Observation, Policy, Reading, Signal};
use proptest::prelude::*;

/// What happens in one step of five seconds.
#[derive(Clone, Debug)]
struct Moment {
    /// In units of one member at its target; `None`: missing.
    load: Option<f64>,
    backlog: Option<u64>,
    frozen: Option<Frozen>,
    floor: u32,
    ready_share: f64,
}

fn moment() -> impl Strategy<Value = Moment> {
    let frozen = prop_oneof![
        6 => Just(None),
        1 => Just(Some(Frozen::Rollout)),
        1 => Just(Some(Frozen::Handover)),
        1 => Just(Some(Frozen::Dependency { what: "kafka".into() })),
    ];
    let load = prop_oneof![8 => (0.0..40.0).prop_map(Some), 1 => Just(None), 1 => Just(Some(f64::NAN))];
    let backlog = proptest::option::weighted(0.9, 0_u64..50_000);
    (load, backlog, frozen, 0_u32..8, 0.0..=1.0).prop_map(|(load, backlog, frozen, floor, ready_share)| {
        Moment { load, backlog, frozen, floor, ready_share }
    })
}

fn observe(moment: &Moment, desired: u32) -> Observation {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small number")]
    let ready = (f64::from(desired) * moment.ready_share) as u32;
    let connections = moment.load.map_or_else(
        || Reading::missing("connections"),
        |load| {
            let total = load * 1_000.0;
            Reading::fresh(
                Signal::PerMember { name: "connections".into(), total, target_per_member: 1_000.0 },
                ready,
            )
        },
    );
    let backlog = moment.backlog.map_or_else(
        || Reading::missing("backlog"),
        |records| {
            let signal = Signal::Backlog {
                records,
                drain_rate_per_member: Some(900.0),
                arrival_rate: 500.0,
                target: Duration::from_secs(5),
            };
            Reading::fresh(signal, ready)
        },
    );
    Observation {
        ready,
        desired,
        signals: vec![connections, backlog],
        frozen: moment.frozen.clone(),
        floor: moment.floor,
        ceiling: Some(24),
    }
}

proptest! {
    #[test]
    fn bounds_hold_and_neither_missing_data_nor_a_panic_nor_a_freeze_shrinks(
        moments in proptest::collection::vec(moment(), 1..400),
        (min, max) in (1_u32..6, 6_u32..40),
        start in 0_u32..50,
        up in (0_u32..200, 0_u32..6),
    ) {
        let mut policy = Policy::between(min, max);
        policy.stabilization_down = Duration::from_secs(30);
        (policy.scale_up.percent, policy.scale_up.pods) = up;
        let mut autoscaler = Autoscaler::new(policy);
        let mut desired = start;
        for (tick, moment) in (0_u64..).zip(&moments) {
            let observed = observe(moment, desired);
            let decision = autoscaler.decide(Duration::from_secs(tick * 5), &observed);
            let low = min.max(moment.floor).min(max);
            prop_assert!((low..=max).contains(&decision.replicas), "{decision} outside {low}..={max}");
            if decision.replicas < desired.min(max) {
                prop_assert!(moment.load.is_some_and(f64::is_finite) && moment.backlog.is_some(), "{decision}");
                prop_assert!(decision.panic_since.is_none() && moment.frozen.is_none(), "{decision}");
            }
            desired = decision.replicas;
        }
    }

    #[test]
    fn under_a_constant_load_it_comes_to_rest_where_the_load_fits(
        load in 0.0..20.0,
        start in 1_u32..40,
        moments in proptest::collection::vec(moment(), 0..60),
    ) {
        let mut autoscaler = Autoscaler::new(Policy::between(1, 40));
        let mut desired = start;
        let mut tick = 0_u64;
        let calm = Moment { load: Some(load), backlog: Some(0), frozen: None, floor: 0, ready_share: 1.0 };
        let mut step = |moment: &Moment, desired: u32| {
            tick += 1;
            autoscaler.decide(Duration::from_secs(tick * 5), &observe(moment, desired)).replicas
        };
        for moment in &moments {
            desired = step(moment, desired);
        }
        // Long enough for the window and for one drain a minute from the top.
        for _ in 0..600 {
            desired = step(&calm, desired);
        }
        let rest = desired;
        prop_assert!(f64::from(rest) >= load, "{rest} members for a load of {load}");
        prop_assert!(rest <= 1 || f64::from(rest - 1) <= load * 1.2 / 0.9 + 1e-6, "{rest} for {load} is too many");
        for _ in 0..600 {
            desired = step(&calm, desired);
            prop_assert_eq!(desired, rest);
        }
    }
}
