//! The autoscalers of one cluster.

use std::collections::BTreeMap;
use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use gochat_brain::autoscaler::{Autoscaler, Decision, Limit, Reason};
use gochat_crds::ScaledWorkload;
use gochat_senses::{Aged, Backlog, ByBroker, Crew, Heard, Scaling};
use tokio::time::Instant;

use super::{Brief, Shared, Signal, Wanted};
use crate::kafka::Lag;

/// How often a reason is published whose kind changed but not its number.
const REASON_EVERY: Duration = Duration::from_secs(30);

/// One autoscaler a workload that has autoscaling, and is not scaled by somebody else.
#[derive(Default)]
pub(super) struct Scaled {
    ones: BTreeMap<ScaledWorkload, One>,
    /// It has decided before.
    begun: bool,
}

struct One {
    scaling: Scaling,
    autoscaler: Autoscaler,
    backlog: Backlog,
    wanted: Option<Wanted>,
    kind: Option<(Kind, Instant)>,
    missing: Option<String>,
    panics: bool,
}

type Kind = (Discriminant<Reason>, Option<Limit>);

impl Scaled {
    /// Whether load doubled within seconds somewhere.
    pub(super) fn panics(&self) -> bool {
        self.ones.values().any(|one| one.panics)
    }

    /// Decides for each; `heard` gives what each ready pod of a workload reports.
    pub(super) fn decide(
        &mut self,
        shared: &Shared,
        brief: &Brief,
        now: Duration,
        instant: Instant,
        crews: &BTreeMap<ScaledWorkload, Crew>,
        heard: impl Fn(ScaledWorkload) -> Vec<Option<Heard>>,
    ) -> (BTreeMap<ScaledWorkload, Wanted>, Signal) {
        let begins = !std::mem::replace(&mut self.begun, true);
        for workload in ScaledWorkload::ALL {
            let share = brief.workloads.get(workload);
            let scaling = Scaling::of(&brief.spec, workload, share.cores).filter(|_| share.ours);
            let Some(scaling) = scaling else {
                self.ones.remove(&workload);
                continue;
            };
            // An operator that was just started goes on with what is there, and with what its predecessor said of it.
            let inherited = || share.said.clone().filter(|_| begins);
            let wanted = || Some(Wanted { replicas: share.replicas, reason: inherited()? });
            let one = self.ones.entry(workload).or_insert_with(|| One::new(scaling.clone(), wanted()));
            one.follow(scaling);
            let pods = heard(workload);
            let crew = Crew {
                ready: pods.len(),
                desired: share.replicas,
                ..crews.get(&workload).copied().unwrap_or_default()
            };
            // Without any pod there is nothing to learn: not before they are there, nor while they all are away.
            if pods.is_empty() || brief.paused {
                continue;
            }
            // What the members don't tell, the broker does.
            let is_consumer = matches!(workload, ScaledWorkload::Logic | ScaledWorkload::Task);
            let is_silent = is_consumer && pods.iter().any(Option::is_none);
            let lag = if is_silent { shared.kafka.lag(&brief.key).get(&workload).copied() } else { None };
            if let Some(decision) = one.decide(brief, now, instant, crew, &pods, lag) {
                let note = format!("{} {decision}", workload.as_str());
                shared.events.tell(brief.reference.clone(), false, "Scaled", note);
                let direction = if decision.replicas > decision.from { "up" } else { "down" };
                let labels = [("workload", workload.as_str()), ("direction", direction)];
                metrics::counter!("gochat_operator_scale_decisions_total", &labels).increment(1);
            }
        }
        let wanted = self.ones.iter().filter_map(|(workload, one)| Some((*workload, one.wanted.clone()?)));
        (wanted.collect(), self.signal())
    }

    fn signal(&self) -> Signal {
        if self.ones.is_empty() {
            return Signal::Fixed;
        }
        let missing: Vec<_> = self
            .ones
            .iter()
            .filter_map(|(workload, one)| Some(format!("{}: {}", workload.as_str(), one.missing.as_ref()?)))
            .collect();
        if missing.is_empty() { Signal::Active } else { Signal::Missing { why: missing.join("; ") } }
    }
}

impl One {
    fn new(scaling: Scaling, wanted: Option<Wanted>) -> Self {
        Self {
            autoscaler: Autoscaler::new(scaling.policy.clone()),
            scaling,
            backlog: Backlog::default(),
            wanted,
            kind: None,
            missing: None,
            panics: false,
        }
    }

    fn follow(&mut self, scaling: Scaling) {
        if self.scaling.policy != scaling.policy {
            self.autoscaler.set_policy(scaling.policy.clone());
        }
        self.scaling = scaling;
    }

    /// Decides; gives the decision where it changes what was wanted so far.
    fn decide(
        &mut self,
        brief: &Brief,
        now: Duration,
        instant: Instant,
        crew: Crew,
        pods: &[Option<Heard>],
        lag: Option<Lag>,
    ) -> Option<Decision> {
        let aged = pods
            .iter()
            .flatten()
            .map(|heard| Aged { report: &heard.report, age: instant.duration_since(heard.at) });
        let by_broker = lag.map(|lag| ByBroker {
            records: lag.records,
            worked_off: lag.worked_off,
            age: instant.duration_since(lag.at),
            ready: u32::try_from(pods.len()).unwrap_or(u32::MAX),
        });
        let aged = aged.collect::<Vec<_>>();
        let signals = self.scaling.readings(&aged, by_broker.as_ref(), &mut self.backlog, now);
        let observed = self.scaling.observed(crew, signals, brief.frozen.clone());
        let decision = self.autoscaler.decide(now, &observed);
        self.panics = decision.panic_since.is_some();
        self.missing = missing(&decision, pods);
        let kind = (discriminant(&decision.reason), decision.limited_by);
        let known = self.wanted.as_ref().map(|wanted| wanted.replicas);
        let news = known != Some(decision.replicas);
        // It is repeated until the number of pods follows; only the first time is it told.
        let changed = news && decision.is_change();
        let (before, at) = *self.kind.get_or_insert((kind, instant));
        let old = instant.duration_since(at) >= REASON_EVERY;
        if news || (old && before != kind) {
            self.wanted = Some(Wanted { replicas: decision.replicas, reason: decision.to_string() });
            self.kind = Some((kind, instant));
        }
        changed.then_some(decision)
    }
}

fn missing(decision: &Decision, pods: &[Option<Heard>]) -> Option<String> {
    if decision.missing.is_empty() {
        return None;
    }
    let reporting = pods.iter().flatten().count();
    Some(format!("no data of {} ({reporting} of {} pods report)", decision.missing.join(", "), pods.len()))
}
