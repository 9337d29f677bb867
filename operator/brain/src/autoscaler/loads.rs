//! The readings of all signals, their means, and the largest answer.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::signal::{Name, Reading, Vote};
use super::window::Mean;
use super::{Evidence, Observation, Policy};

/// The recent past of each signal; a signal that went missing is forgotten with its window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Loads {
    means: BTreeMap<Name, Mean>,
}

/// What all signals say together.
pub(super) struct Seen {
    /// By the slow mean.
    pub(super) stable: Option<Evidence>,
    /// By the quick mean.
    pub(super) recent: Option<Evidence>,
    /// Signals without a usable reading.
    pub(super) missing: Vec<Name>,
}

impl Loads {
    /// Takes the readings in, and asks each signal; the largest answer wins.
    pub(super) fn see(&mut self, now: Duration, observed: &Observation, policy: &Policy) -> Seen {
        let keep = policy.stable_window.max(policy.panic_window);
        let mut seen = Seen { stable: None, recent: None, missing: Vec::new() };
        for reading in &observed.signals {
            let (signal, members) = match reading {
                Reading::Measured { signal, age, members } if *age <= policy.stale_after => {
                    (signal, *members)
                }
                _ => {
                    seen.missing.push(reading.name());
                    continue;
                }
            };
            let name = signal.name();
            let Some(measure) = signal.measure(policy) else {
                seen.missing.push(name);
                continue;
            };
            let load = self.means.entry(name.clone()).or_default();
            load.record(now, measure, keep);
            let mut usable = members >= observed.ready;
            let windows = [(policy.stable_window, &mut seen.stable), (policy.panic_window, &mut seen.recent)];
            for (window, best) in windows.into_iter().take(if signal.may_panic() { 2 } else { 1 }) {
                let Some(measure) = load.over(now, window) else { continue };
                match signal.vote(measure, policy, observed.ready, observed.desired) {
                    Vote::Needs { load, need } => {
                        let headroom = policy.headroom;
                        let evidence =
                            Evidence { signal: signal.clone(), measure, over: window, load, need, headroom };
                        *best = larger(best.take(), Some(evidence));
                    }
                    Vote::Abstains => {}
                    Vote::Unusable => usable = false,
                }
            }
            if !usable {
                seen.missing.push(name);
            }
        }
        self.means.retain(|_, load| !load.is_stale(now, keep));
        seen
    }
}

/// The one that needs more members.
pub(super) fn larger(one: Option<Evidence>, other: Option<Evidence>) -> Option<Evidence> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.need > one.need { other } else { one }),
        (one, other) => one.or(other),
    }
}
