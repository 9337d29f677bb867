//! What the autoscaler is told: the spec's policy, and the signals in the load reports. Pure.
//!
//! | workload | signals |
//! | --- | --- |
//! | gateway | connections, deliveries a second, CPU |
//! | logic, task | backlog (how long it takes to work off what waits; the broker's where a member does not report), CPU |
//! | repo | calls in flight, how long they take (where `callP99` says how long they may), CPU |
//!
//! A signal is missing when no member reports it; fewer reports than ready members are for the autoscaler to judge.

use std::time::Duration;

use gochat_brain::autoscaler::{DrainRate, Frozen, Observation, Policy, Reading, Signal};
use gochat_crds::{GoChatClusterSpec, ScaledWorkload};
use gochat_proto::ops::LoadReport;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::policy;

/// The targets of a workload's autoscaling.
#[derive(Clone, Debug, PartialEq)]
enum Targets {
    Gateway { connections: u32, deliveries: u32 },
    Consumer { drain_time: Duration },
    Repo { in_flight: u32, call_p99: Option<Duration> },
}

/// A workload's autoscaling, as the brain takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    /// Bounds and pace.
    pub policy: Policy,
    targets: Targets,
    /// CPU cores that a member should use; `None` where its pods request none.
    cores: Option<f64>,
}

/// A report, and how old it is.
#[derive(Clone, Copy, Debug)]
pub struct Aged<'a> {
    /// What a member reports.
    pub report: &'a LoadReport,
    /// Since it came.
    pub age: Duration,
}

/// The members of a workload, and what its slots have to say to its scaling.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crew {
    /// Members that serve.
    pub ready: usize,
    /// Members that are asked for.
    pub desired: u32,
    /// Members that go.
    pub draining: usize,
    /// Slots on their way.
    pub handovers: usize,
    /// More consumers than slots have nothing to do.
    pub slots: Option<usize>,
}

/// What the broker says of a workload's topic, where not every member reports: the same whoever reads it.
#[derive(Clone, Copy, Debug)]
pub struct ByBroker {
    /// That wait.
    pub records: u64,
    /// Records a second, of all members.
    pub worked_off: f64,
    /// Since it was read.
    pub age: Duration,
    /// The members that do it.
    pub ready: u32,
}

impl Scaling {
    /// Where the spec has some. `requested` is the CPU that a pod requests.
    pub fn of(spec: &GoChatClusterSpec, workload: ScaledWorkload, requested: Option<f64>) -> Option<Self> {
        let (policy, targets, percent) = match workload {
            ScaledWorkload::Gateway => {
                let autoscaling = spec.gateway.autoscaling.as_ref()?;
                let targets = &autoscaling.targets;
                let (connections, deliveries) = (targets.connections, targets.deliveries_per_second);
                (
                    policy::scaling(autoscaling),
                    Targets::Gateway { connections, deliveries },
                    targets.cpu_percent,
                )
            }
            ScaledWorkload::Logic | ScaledWorkload::Task => {
                let of = if workload == ScaledWorkload::Logic {
                    &spec.logic.autoscaling
                } else {
                    &spec.task.autoscaling
                };
                let autoscaling = of.as_ref()?;
                let drain_time = autoscaling.targets.drain_time.0;
                (
                    policy::scaling(autoscaling),
                    Targets::Consumer { drain_time },
                    autoscaling.targets.cpu_percent,
                )
            }
            ScaledWorkload::Repo => {
                let autoscaling = spec.repo.autoscaling.as_ref()?;
                let targets = &autoscaling.targets;
                let (in_flight, call_p99) = (targets.in_flight, targets.call_p99.map(|span| span.0));
                (policy::scaling(autoscaling), Targets::Repo { in_flight, call_p99 }, targets.cpu_percent)
            }
        };
        let cores = requested.map(|cores| cores * f64::from(percent) / 100.0).filter(|cores| *cores > 0.0);
        Some(Self { policy, targets, cores })
    }

    /// The signals, from what is reported now.
    pub fn readings(
        &self,
        reports: &[Aged<'_>],
        by_broker: Option<&ByBroker>,
        backlog: &mut Backlog,
        now: Duration,
    ) -> Vec<Reading> {
        let members = u32::try_from(reports.len()).unwrap_or(u32::MAX);
        let age = reports.iter().map(|aged| aged.age).max();
        let reading = |signal: Signal| match age {
            Some(age) => Reading::Measured { signal, age, members },
            None => Reading::missing(signal.name()),
        };
        let sum = |part: fn(&LoadReport) -> f64| reports.iter().map(|aged| part(aged.report)).sum::<f64>();
        let per_member = |name: &'static str, total: f64, target_per_member: f64| {
            reading(Signal::PerMember { name: name.into(), total, target_per_member })
        };
        let mut readings = match self.targets {
            Targets::Gateway { connections, deliveries } => vec![
                per_member("connections", sum(|report| report.connections as f64), f64::from(connections)),
                per_member("deliveries/s", sum(|report| report.messages_per_second), f64::from(deliveries)),
            ],
            Targets::Consumer { drain_time } if by_broker.is_some_and(|lag| members < lag.ready) => {
                let lags = by_broker.map(|lag| Reading::Measured {
                    signal: backlog.signal(now, lag.records, lag.worked_off, lag.ready, drain_time),
                    age: lag.age,
                    members: lag.ready,
                });
                lags.into_iter().collect()
            }
            Targets::Consumer { drain_time } => {
                let records = reports.iter().flat_map(|aged| &aged.report.slots).map(|slot| slot.lag).sum();
                let worked_off = sum(|report| report.messages_per_second);
                vec![reading(backlog.signal(now, records, worked_off, members, drain_time))]
            }
            Targets::Repo { in_flight, call_p99 } => {
                let total = sum(|report| report.calls_in_flight);
                let mut readings = vec![per_member("calls in flight", total, f64::from(in_flight))];
                readings.extend(call_p99.map(|target| {
                    // The slowest member's: a mean over percentiles is none.
                    let slowest = reports.iter().map(|aged| aged.report.call_p99_ms).fold(0.0, f64::max);
                    let p99 = Duration::try_from_secs_f64(slowest / 1_000.0).unwrap_or_default();
                    reading(Signal::Latency { name: "calls".into(), p99, target })
                }));
                readings
            }
        };
        if let Some(cores) = self.cores {
            readings.push(per_member("cpu cores", sum(|report| report.cpu_cores), cores));
        }
        readings
    }

    /// What the autoscaler is shown.
    pub fn observed(&self, crew: Crew, signals: Vec<Reading>, frozen: Option<Frozen>) -> Observation {
        let handover = (crew.handovers > 0 || crew.draining > 0).then_some(Frozen::Handover);
        let consumer = matches!(self.targets, Targets::Consumer { .. });
        Observation {
            ready: u32::try_from(crew.ready).unwrap_or(u32::MAX),
            desired: crew.desired,
            signals,
            frozen: frozen.or(handover),
            floor: 1,
            ceiling: crew.slots.filter(|_| consumer).and_then(|slots| u32::try_from(slots).ok()),
        }
    }
}

/// What was learned of a backlog.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backlog {
    rate: DrainRate,
    before: Option<(Duration, u64)>,
    arrivals: f64,
}

impl Backlog {
    fn signal(
        &mut self,
        now: Duration,
        records: u64,
        worked_off: f64,
        members: u32,
        target: Duration,
    ) -> Signal {
        self.rate.observe(records, worked_off, members.max(1));
        match self.before {
            // What arrives is what is worked off and what is added to the backlog. Over a second at least: reports of
            // several members come one after another.
            Some((then, before)) if now.saturating_sub(then) >= Duration::from_secs(2) => {
                let growth = (records as f64 - before as f64) / now.saturating_sub(then).as_secs_f64();
                self.arrivals = (worked_off + growth).max(0.0);
                self.before = Some((now, records));
            }
            Some(_) => {}
            None => {
                self.arrivals = worked_off;
                self.before = Some((now, records));
            }
        }
        Signal::Backlog {
            records,
            drain_rate_per_member: self.rate.per_member(),
            arrival_rate: self.arrivals,
            target,
        }
    }
}

/// CPU cores of a quantity: `1`, `0.5`, `250m`. What is written in another way is nothing that a CPU is requested in.
pub fn cores(quantity: &Quantity) -> Option<f64> {
    let (number, unit) = match quantity.0.strip_suffix('m') {
        Some(milli) => (milli, 0.001),
        None => (quantity.0.as_str(), 1.0),
    };
    number.parse::<f64>().ok().map(|number| number * unit).filter(|cores| cores.is_finite() && *cores > 0.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use gochat_brain::autoscaler::Autoscaler;
    use gochat_proto::ops::SlotLoad;
    use serde_json::json;

    use super::*;

    fn spec(part: &serde_json::Value) -> GoChatClusterSpec {
        let mut spec = json!({
            "kafka": { "bootstrap": "kafka:9092" },
            "mysql": { "secret": { "name": "mysql", "key": "url" } },
        });
        spec.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    fn aged(reports: &[LoadReport]) -> Vec<Aged<'_>> {
        reports.iter().map(|report| Aged { report, age: Duration::from_secs(1) }).collect()
    }

    #[test]
    fn a_gateway_scales_on_the_signal_that_asks_for_most() {
        let spec = spec(
            &json!({ "gateway": { "autoscaling": { "min": 2, "max": 9, "targets": { "connections": 10_000 } } } }),
        );
        let scaling = Scaling::of(&spec, ScaledWorkload::Gateway, cores(&Quantity("500m".into()))).unwrap();
        let reports = [20_600, 20_600].map(|connections| LoadReport {
            connections,
            cpu_cores: 0.1,
            ..LoadReport::default()
        });
        let now = Duration::from_secs(43_266);
        let signals = scaling.readings(&aged(&reports), None, &mut Backlog::default(), now);
        assert_eq!(signals.len(), 3);
        let mut autoscaler = Autoscaler::new(scaling.policy);
        let observed = Observation { ready: 2, desired: 3, signals, frozen: None, floor: 1, ceiling: None };
        let decision = autoscaler.decide(now, &observed).to_string();
        assert!(
            decision.starts_with("3 → 5: 41,200 connections / 10,000 per pod × 1.2 headroom"),
            "{decision}"
        );
    }

    #[test]
    fn without_reports_every_signal_is_missing() {
        let spec = spec(&json!({ "logic": { "autoscaling": { "min": 1, "max": 4 } } }));
        let scaling = Scaling::of(&spec, ScaledWorkload::Logic, Some(1.0)).unwrap();
        let readings = scaling.readings(&[], None, &mut Backlog::default(), Duration::ZERO);
        assert_eq!(readings, [Reading::missing("backlog"), Reading::missing("cpu cores")]);
        assert_eq!(Scaling::of(&spec, ScaledWorkload::Task, None), None);
    }

    #[test]
    fn what_arrives_is_what_is_worked_off_and_what_is_added_to_the_backlog() {
        let mut backlog = Backlog::default();
        let slot = |lag| SlotLoad { lag, ..SlotLoad::default() };
        let spec = spec(&json!({ "task": { "autoscaling": { "min": 1, "max": 4 } } }));
        let scaling = Scaling::of(&spec, ScaledWorkload::Task, None).unwrap();
        let mut arrival = |second: u64, lag| {
            let report =
                LoadReport { messages_per_second: 500.0, slots: vec![slot(lag)], ..LoadReport::default() };
            match scaling
                .readings(&aged(&[report]), None, &mut backlog, Duration::from_secs(second))
                .remove(0)
            {
                Reading::Measured { signal: Signal::Backlog { arrival_rate, .. }, .. } => arrival_rate,
                other => unreachable!("{other:?}"),
            }
        };
        assert_eq!(
            [arrival(0, 1_000), arrival(1, 9_000), arrival(10, 11_000)].map(|rate| rate.to_string()),
            ["500", "500", "1500"]
        );
    }

    #[test]
    fn repo_scales_on_calls_in_flight_and_where_asked_on_how_long_they_take() {
        let decide = |targets: serde_json::Value, calls_in_flight, call_p99_ms| {
            let spec =
                spec(&json!({ "repo": { "autoscaling": { "min": 1, "max": 9, "targets": targets } } }));
            let scaling = Scaling::of(&spec, ScaledWorkload::Repo, None).unwrap();
            let report = LoadReport { calls_in_flight, call_p99_ms, ..LoadReport::default() };
            let now = Duration::from_secs(43_266);
            let reports = [report.clone(), report];
            let signals = scaling.readings(&aged(&reports), None, &mut Backlog::default(), now);
            let observed =
                Observation { ready: 2, desired: 2, signals, frozen: None, floor: 1, ceiling: None };
            Autoscaler::new(scaling.policy).decide(now, &observed).to_string()
        };
        let busy = decide(json!({ "inFlight": 10 }), 25.0, 900.0);
        assert!(busy.starts_with("2 → 6: 50 calls in flight / 10 per pod × 1.2 headroom"), "{busy}");
        let slow = decide(json!({ "callP99": "300ms" }), 1.0, 900.0);
        assert!(slow.starts_with("2 → 4: "), "{slow}");
        let fast = decide(json!({ "callP99": "300ms" }), 1.0, 200.0);
        assert!(fast.starts_with("2: "), "{fast}");
    }

    #[test]
    fn where_a_member_is_silent_the_backlog_is_the_brokers() {
        let spec = spec(&json!({ "task": { "autoscaling": { "min": 1, "max": 4 } } }));
        let scaling = Scaling::of(&spec, ScaledWorkload::Task, None).unwrap();
        let lag = ByBroker { records: 9_000, worked_off: 100.0, age: Duration::from_secs(3), ready: 2 };
        let report =
            LoadReport { slots: vec![SlotLoad { lag: 7, ..SlotLoad::default() }], ..LoadReport::default() };
        let records = |reports: &[LoadReport]| {
            let mut backlog = Backlog::default();
            match scaling.readings(&aged(reports), Some(&lag), &mut backlog, Duration::ZERO).as_slice() {
                [Reading::Measured { signal: Signal::Backlog { records, .. }, members, .. }] => {
                    (*records, *members)
                }
                other => unreachable!("{other:?}"),
            }
        };
        assert_eq!(records(&[]), (9_000, 2));
        assert_eq!(records(std::slice::from_ref(&report)), (9_000, 2));
        assert_eq!(records(&[report.clone(), report]), (14, 2), "all report");
    }

    #[test]
    fn cpu_is_read_as_it_is_written() {
        let read = |text: &str| cores(&Quantity(text.into()));
        assert_eq!(
            [read("250m"), read("2"), read("0.5"), read("1Gi"), read("")],
            [Some(0.25), Some(2.0), Some(0.5), None, None]
        );
    }
}
