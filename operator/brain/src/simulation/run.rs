//! What came of it: every second, every decision, and the figures by which a policy is judged.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::setup::{Demand, Workload};
use super::trace::Event;
use crate::autoscaler::Decision;
use crate::planner::{Move, MoveReason};

/// A simulated trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// One for each workload, in the order of the setup.
    pub lanes: Vec<Lane>,
}

/// What one workload went through.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// The workload.
    pub name: String,
    /// The most that the hottest member may have, as a multiple of its share.
    pub band: f64,
    /// In how much time a backlog should be worked off, where there is one.
    pub drain_target: Option<Duration>,
    /// One for each second.
    pub samples: Vec<Sample>,
    /// What was decided and what happened, in the order of time.
    pub entries: Vec<Entry>,
}

/// One second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// Seconds since the beginning.
    pub at: u32,
    /// In units of one member at its target.
    pub load: f64,
    /// Members that serve.
    pub ready: u32,
    /// Members that are asked for.
    pub desired: u32,
    /// Seconds that the member with the longest queue needs for it.
    pub wait: f64,
    /// More load than the members should carry, or a longer wait than there should be.
    pub over: bool,
    /// The hottest member's load as a multiple of its share.
    pub imbalance: f64,
    /// Slots that were sent on their way.
    pub moved: usize,
    /// There is a panic.
    pub panics: bool,
}

/// Something that was decided or happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Seconds since the beginning.
    pub at: u32,
    /// What.
    pub what: What,
}

/// What was decided or happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The number of members changes, or stays for a reason worth telling.
    Scale(Decision),
    /// Slots move.
    Moves {
        /// As planned; members are named by the positions of that moment.
        moves: Vec<Move>,
        /// The same with the members' names.
        sentences: Vec<String>,
        /// The hottest member's load as a multiple of its share, before.
        before: f64,
        /// And after.
        after: f64,
    },
    /// Something happens that the trace says.
    Event(Event),
}

/// By what a policy is judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The highest load, in units of one member at its target.
    pub peak: f64,
    /// Fewest members asked for.
    pub fewest: u32,
    /// Most members asked for.
    pub most: u32,
    /// Changes of their number.
    pub changes: usize,
    /// Changes that go the other way than the one before: flapping.
    pub turns: usize,
    /// Seconds above capacity, or with a longer wait than there should be: lag.
    pub over_seconds: usize,
    /// Of them the most in one piece.
    pub longest_over: usize,
    /// The longest wait in seconds.
    pub longest_wait: f64,
    /// Slots moved.
    pub moves: usize,
    /// Hours of ready members.
    pub pod_hours: f64,
    /// Mean load of a ready member, 1 being its target.
    pub utilisation: f64,
}

/// As a sentence, without the workload's name.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scale(decision) => decision.fmt(f),
            Self::Event(event) => f.write_str(event.label()),
            Self::Moves { moves, before, after, .. } => {
                let noun = if moves.len() == 1 { "slot moves" } else { "slots move" };
                write!(f, "{} {noun} {}: hottest at ", moves.len(), kinds(moves))?;
                if *before > 0.0 {
                    write!(f, "{before:.2} of its share, then ")?;
                }
                write!(f, "{after:.2}")
            }
        }
    }
}

/// Away from where.
fn kinds(moves: &[Move]) -> String {
    let mut kinds: Vec<&str> = moves
        .iter()
        .map(|step| match step.reason {
            MoveReason::Unowned => "without an owner",
            MoveReason::MemberGone => "off a lost member",
            MoveReason::MemberDraining => "off a draining member",
            MoveReason::Surplus { .. } => "off hot members",
        })
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.join(" and ")
}

/// `1 turn`, `2 turns`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

impl Lane {
    pub(super) fn new(workload: &Workload) -> Self {
        let drain_target = match workload.demand {
            Demand::Backlog { drain_target, .. } => Some(drain_target),
            Demand::Connections { .. } => None,
        };
        Self {
            name: workload.name.clone(),
            band: 1.0 + workload.rebalancing.policy.band_relative,
            drain_target,
            samples: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// The figures.
    pub fn summary(&self) -> Summary {
        let steps: Vec<bool> = self.changes().map(|decision| decision.replicas > decision.from).collect();
        let of = |value: fn(&Sample) -> f64| self.samples.iter().map(value);
        let desired = || self.samples.iter().map(|sample| sample.desired);
        let ready: f64 = of(|sample| sample.ready.into()).sum();
        Summary {
            peak: of(|sample| sample.load).fold(0.0, f64::max),
            fewest: desired().min().unwrap_or(0),
            most: desired().max().unwrap_or(0),
            changes: steps.len(),
            turns: steps.iter().zip(steps.iter().skip(1)).filter(|(one, next)| one != next).count(),
            over_seconds: self.samples.iter().filter(|sample| sample.over).count(),
            longest_over: self.samples.split(|sample| !sample.over).map(<[_]>::len).max().unwrap_or(0),
            longest_wait: of(|sample| sample.wait).fold(0.0, f64::max),
            moves: self.samples.iter().map(|sample| sample.moved).sum(),
            pod_hours: ready / 3_600.0,
            utilisation: if ready > 0.0 { of(|sample| sample.load).sum::<f64>() / ready } else { 0.0 },
        }
    }

    /// The decisions that changed the number of members.
    pub fn changes(&self) -> impl Iterator<Item = &Decision> {
        self.entries.iter().filter_map(|entry| match &entry.what {
            What::Scale(decision) if decision.is_change() => Some(decision),
            _ => None,
        })
    }
}

impl Run {
    /// A line for each decision and event, as JSON, in the order of time: the numbers, and the sentence a person reads.
    pub fn json_lines(&self) -> String {
        let mut lines: Vec<(u32, String)> = Vec::new();
        for lane in &self.lanes {
            let name = &lane.name;
            for Entry { at, what } in &lane.entries {
                let text = format!("{name} {what}");
                let line = match what {
                    What::Scale(decision) => json!({
                        "t": at, "workload": name, "kind": if decision.is_change() { "scale" } else { "hold" },
                        "from": decision.from, "to": decision.replicas,
                        "text": text, "decision": decision,
                    }),
                    What::Moves { moves, sentences, before, after } => json!({
                        "t": at, "workload": name, "kind": "move",
                        "text": text,
                        "imbalance_before": before, "imbalance_after": after,
                        "moves": moves.iter().zip(sentences).map(|(step, text)| json!({
                            "slot": step.slot, "text": text, "reason": step.reason,
                        })).collect::<Vec<_>>(),
                    }),
                    What::Event(event) => json!({
                        "t": at, "workload": name, "kind": "event", "event": event, "text": text,
                    }),
                };
                lines.push((*at, line.to_string()));
            }
        }
        lines.sort_by_key(|(at, _)| *at);
        lines.into_iter().map(|(_, line)| line + "\n").collect()
    }
}
