//! Which syncs to ask for: heads after a welcome or a notice, pages of a conversation where something is missing.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// Servers bound the syncs in flight of a connection; two hide a round trip.
const IN_FLIGHT: usize = 2;
/// A sync that hears nothing in this time is asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// A page of heads; empty: the first.
    Heads { page: String },
    /// What a conversation has after what was delivered.
    Gap { conversation: u64 },
}

#[derive(Debug)]
struct Asked {
    request_id: u32,
    want: Want,
    at: Duration,
    /// Of a gap: the head that was known.
    head: u64,
}

#[derive(Debug, Default)]
pub(super) struct Syncs {
    last_request: u32,
    heads: Option<(Duration, String)>,
    gaps: BTreeSet<(Duration, u64)>,
    due: HashMap<u64, Duration>,
    in_flight: Vec<Asked>,
}

impl Syncs {
    /// Asks for the heads from their first page at the latest at `at`.
    pub(super) fn want_heads(&mut self, at: Duration) {
        match &mut self.heads {
            Some((due, page)) if page.is_empty() => *due = at.min(*due),
            heads => *heads = Some((at, String::new())),
        }
    }

    pub(super) fn want_page(&mut self, at: Duration, page: String) {
        if self.heads.is_none() {
            self.heads = Some((at, page));
        }
    }

    /// Asks for what a conversation lacks, at the latest at `at`; nothing to do where that is asked already.
    pub(super) fn want_gap(&mut self, conversation: u64, at: Duration) {
        if self.in_flight.iter().any(|a| a.want == Want::Gap { conversation }) {
            return;
        }
        match self.due.get(&conversation) {
            Some(due) if *due <= at => return,
            Some(due) => _ = self.gaps.remove(&(*due, conversation)),
            None => {}
        }
        self.due.insert(conversation, at);
        self.gaps.insert((at, conversation));
    }

    /// The gap closed by itself, or nobody wants it filled.
    pub(super) fn forget_gap(&mut self, conversation: u64) {
        if self.gaps.is_empty() {
            return;
        }
        if let Some(due) = self.due.remove(&conversation) {
            self.gaps.remove(&(due, conversation));
        }
    }

    /// The next one whose time has come.
    pub(super) fn next(&mut self, now: Duration) -> Option<Want> {
        if self.in_flight.len() >= IN_FLIGHT {
            return None;
        }
        let heads_asked = self.in_flight.iter().any(|a| matches!(a.want, Want::Heads { .. }));
        if !heads_asked && self.heads.as_ref().is_some_and(|(due, _)| *due <= now) {
            return self.heads.take().map(|(_, page)| Want::Heads { page });
        }
        let &(due, conversation) = self.gaps.first()?;
        if due > now {
            return None;
        }
        self.gaps.pop_first();
        self.due.remove(&conversation);
        Some(Want::Gap { conversation })
    }

    /// Counts it as in flight; returns the request's id.
    pub(super) fn asked(&mut self, want: Want, head: u64, now: Duration) -> u32 {
        // 0 is "not set".
        self.last_request = self.last_request.checked_add(1).unwrap_or(1);
        self.in_flight.push(Asked { request_id: self.last_request, want, at: now, head });
        self.last_request
    }

    /// What a request was for, and the head known when it was asked. `None` where it was not ours, or was given up.
    pub(super) fn answered(&mut self, request_id: u32) -> Option<(Want, u64)> {
        let index = self.in_flight.iter().position(|a| a.request_id == request_id)?;
        let asked = self.in_flight.swap_remove(index);
        Some((asked.want, asked.head))
    }

    /// Asks again, at `at`.
    pub(super) fn again(&mut self, want: Want, at: Duration) {
        match want {
            Want::Heads { page } => self.want_page(at, page),
            Want::Gap { conversation } => self.want_gap(conversation, at),
        }
    }

    /// Gives up what heard nothing and asks again.
    pub(super) fn requeue_unanswered(&mut self, now: Duration) {
        while let Some(index) = self.in_flight.iter().position(|a| a.at + ANSWER_WITHIN <= now) {
            let asked = self.in_flight.swap_remove(index);
            self.again(asked.want, now);
        }
    }

    /// The connection is gone: the next welcome starts with the heads anyway.
    pub(super) fn clear(&mut self) {
        *self = Self { last_request: self.last_request, ..Self::default() };
    }

    /// Nothing is due, now or later, and nothing is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.heads.is_none() && self.gaps.is_empty() && self.in_flight.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let unanswered = self.in_flight.iter().map(|a| a.at + ANSWER_WITHIN).min();
        if self.in_flight.len() >= IN_FLIGHT {
            return unanswered;
        }
        let heads_asked = self.in_flight.iter().any(|a| matches!(a.want, Want::Heads { .. }));
        let heads = self.heads.as_ref().filter(|_| !heads_asked).map(|(due, _)| *due);
        let gap = self.gaps.first().map(|(due, _)| *due);
        [unanswered, heads, gap].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn heads_go_first_and_at_most_two_are_in_flight() {
        let mut syncs = Syncs::default();
        for conversation in 1..=5 {
            syncs.want_gap(conversation, S);
        }
        syncs.want_heads(S);
        assert_eq!(syncs.next(Duration::ZERO), None);
        assert_eq!(syncs.deadline(), Some(S));
        let heads = syncs.next(S).unwrap();
        assert_eq!(heads, Want::Heads { page: String::new() });
        syncs.asked(heads, 0, S);
        let gap = syncs.next(S).unwrap();
        let request = syncs.asked(gap.clone(), 4, S);
        assert_eq!(syncs.next(S), None);
        assert_eq!(syncs.answered(request), Some((gap, 4)));
        assert_eq!(syncs.answered(request), None, "an answer counts once");
        assert_eq!(syncs.next(S), Some(Want::Gap { conversation: 2 }));
    }

    #[test]
    fn one_conversation_is_asked_once_at_a_time() {
        let mut syncs = Syncs::default();
        syncs.want_gap(1, 2 * S);
        syncs.want_gap(1, S);
        syncs.want_gap(1, 3 * S);
        let gap = syncs.next(S).unwrap();
        syncs.asked(gap, 0, S);
        syncs.want_gap(1, S);
        assert_eq!(syncs.next(5 * S), None);
        assert!(!syncs.is_idle());
    }

    #[test]
    fn what_hears_nothing_is_asked_again() {
        let mut syncs = Syncs::default();
        syncs.want_gap(1, S);
        let gap = syncs.next(S).unwrap();
        syncs.asked(gap.clone(), 0, S);
        assert_eq!(syncs.deadline(), Some(S + ANSWER_WITHIN));
        syncs.requeue_unanswered(S + ANSWER_WITHIN);
        assert_eq!(syncs.next(S + ANSWER_WITHIN), Some(gap));
    }
}
