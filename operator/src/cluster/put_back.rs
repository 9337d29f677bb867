//! What others wrote into fields of the operator's and it put back, for as long as it is worth a person's look: an Event is
//! gone from sight sooner, and somebody who writes it again and again never shows anywhere else.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::ClusterKey;

/// For so long it is told.
const LATELY: Duration = Duration::from_secs(600);
/// Of one cluster: a condition's message has an end.
const TOLD: usize = 8;
/// Of one note, in characters: another manager may have taken hundreds of fields.
const LENGTH: usize = 512;

/// Of all clusters.
#[derive(Debug, Default)]
pub struct PutBack(Mutex<HashMap<ClusterKey, Vec<(Instant, String)>>>);

impl PutBack {
    /// Takes in what was put back now; gives what was lately, by name.
    pub(super) fn note(&self, key: &ClusterKey, notes: &[String], now: Instant) -> Vec<String> {
        let mut all = self.0.lock();
        if notes.is_empty() && !all.contains_key(key) {
            return Vec::new();
        }
        let notes: Vec<String> = notes.iter().map(|note| note.chars().take(LENGTH).collect()).collect();
        let known = all.entry(key.clone()).or_default();
        known.retain(|(at, note)| now.duration_since(*at) < LATELY && !notes.contains(note));
        known.extend(notes.into_iter().map(|note| (now, note)));
        known.drain(..known.len().saturating_sub(TOLD));
        let mut lately: Vec<String> = known.iter().map(|(_, note)| note.clone()).collect();
        if lately.is_empty() {
            all.remove(key);
        }
        lately.sort();
        lately
    }

    /// Forgets all but these.
    pub fn keep_only(&self, there: impl Fn(&ClusterKey) -> bool) {
        self.0.lock().retain(|key, _| there(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_back_is_told_for_a_while_and_once() {
        let (all, begin) = (PutBack::default(), Instant::now());
        let key = ClusterKey { namespace: "a".into(), name: "chat".into() };
        let after = |seconds| begin + Duration::from_secs(seconds);
        let note = |text: &str| vec![text.to_owned()];
        assert_eq!(all.note(&key, &[], begin), note("")[1..]);
        assert_eq!(all.note(&key, &note("b"), begin), note("b"));
        assert_eq!(all.note(&key, &note("a"), after(300)), ["a", "b"]);
        assert_eq!(all.note(&key, &note("a"), after(500)), ["a", "b"], "again is no news");
        assert_eq!(all.note(&key, &[], after(700)), note("a"));
        let many: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
        assert_eq!(all.note(&key, &many, after(800)).len(), TOLD);
        assert!(all.note(&key, &[], after(2_000)).is_empty());
        let long = all.note(&key, &note(&"x".repeat(10_000)), after(2_000));
        assert_eq!(long.concat().len(), LENGTH);
    }
}
