//! Messages not yet committed: sent at the pace the server allows, and again after each reconnect, with the same
//! `client_msg_id`, until they are committed or refused. The server drops what it has.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// A message on a live connection that has heard nothing in this time is sent again.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Too many messages wait for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{limit} messages wait to be committed: send more when some are, or reconnect")]
pub struct OutboxFull {
    /// Most messages that may wait.
    pub limit: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) conversation: u64,
    pub(super) client_msg_id: String,
    pub(super) text: String,
    accepted: bool,
    /// When it was last put on the wire of this connection.
    sent: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Outbox {
    limit: usize,
    /// By order of `push`.
    pending: BTreeMap<u64, Pending>,
    by_id: HashMap<String, u64>,
    /// (not before, order).
    queue: BTreeSet<(Duration, u64)>,
    next_order: u64,
    pace: Pace,
}

impl Outbox {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            pending: BTreeMap::new(),
            by_id: HashMap::new(),
            queue: BTreeSet::new(),
            next_order: 0,
            pace: Pace::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// A `client_msg_id` that is pending already is not taken twice.
    pub(super) fn push(
        &mut self,
        conversation: u64,
        client_msg_id: String,
        text: String,
    ) -> Result<(), OutboxFull> {
        if self.by_id.contains_key(&client_msg_id) {
            return Ok(());
        }
        if self.pending.len() >= self.limit {
            return Err(OutboxFull { limit: self.limit });
        }
        let order = self.next_order;
        self.next_order += 1;
        self.by_id.insert(client_msg_id.clone(), order);
        self.pending
            .insert(order, Pending { conversation, client_msg_id, text, accepted: false, sent: None });
        self.queue.insert((Duration::ZERO, order));
        Ok(())
    }

    /// A new connection: everything goes again, in the order it was sent. Returns how many had gone before.
    pub(super) fn connected(&mut self, now: Duration, messages_per_second: u32) -> u64 {
        self.pace = Pace::new(now, messages_per_second);
        self.queue.clear();
        let mut again = 0;
        for (order, pending) in &mut self.pending {
            again += u64::from(pending.sent.take().is_some());
            self.queue.insert((Duration::ZERO, *order));
        }
        again
    }

    /// The next message whose turn it is; counted as sent.
    pub(super) fn next(&mut self, now: Duration) -> Option<&Pending> {
        let &(not_before, order) = self.queue.first()?;
        if not_before > now || !self.pace.take(now) {
            return None;
        }
        self.queue.pop_first();
        let pending = self.pending.get_mut(&order)?;
        pending.sent = Some(now);
        Some(pending)
    }

    /// True the first time.
    pub(super) fn accepted(&mut self, client_msg_id: &str) -> bool {
        let pending = self.by_id.get(client_msg_id).and_then(|order| self.pending.get_mut(order));
        pending.is_some_and(|p| !std::mem::replace(&mut p.accepted, true))
    }

    /// Committed or refused.
    pub(super) fn remove(&mut self, client_msg_id: &str) -> Option<Pending> {
        let order = self.by_id.remove(client_msg_id)?;
        let pending = self.pending.remove(&order)?;
        if pending.sent.is_none() {
            self.queue.retain(|(_, queued)| *queued != order);
        }
        Some(pending)
    }

    /// Refused for now.
    pub(super) fn retry(&mut self, client_msg_id: &str, not_before: Duration) {
        if let Some((order, pending)) =
            self.by_id.get(client_msg_id).and_then(|o| Some((*o, self.pending.get_mut(o)?)))
            && pending.sent.take().is_some()
        {
            self.queue.insert((not_before, order));
        }
    }

    /// Puts what heard nothing for too long back into the queue.
    pub(super) fn requeue_unanswered(&mut self, now: Duration) {
        for (order, pending) in &mut self.pending {
            if !pending.accepted && pending.sent.is_some_and(|sent| sent + ANSWER_WITHIN <= now) {
                pending.sent = None;
                self.queue.insert((Duration::ZERO, *order));
            }
        }
    }

    /// When the oldest message that has no answer was put on the wire.
    pub(super) fn unanswered(&self) -> Option<Duration> {
        self.pending.values().find_map(|p| (!p.accepted).then_some(p.sent?))
    }

    /// When `next` or `requeue_unanswered` may have something.
    pub(super) fn deadline(&self, now: Duration) -> Option<Duration> {
        let queued = self.queue.first().map(|(not_before, _)| (*not_before).max(self.pace.ready_at(now)));
        // The oldest is the first to be overdue, near enough.
        let unanswered = self.pending.values().take(1).find_map(|p| (!p.accepted).then_some(p.sent?));
        [queued, unanswered.map(|sent| sent + ANSWER_WITHIN)].into_iter().flatten().min()
    }
}

/// A token bucket of one second's messages.
#[derive(Debug, Default)]
struct Pace {
    /// 0: no limit.
    per_second: u32,
    tokens: f64,
    at: Duration,
}

impl Pace {
    fn new(now: Duration, per_second: u32) -> Self {
        Self { per_second, tokens: f64::from(per_second), at: now }
    }

    fn take(&mut self, now: Duration) -> bool {
        if self.per_second == 0 {
            return true;
        }
        let rate = f64::from(self.per_second);
        self.tokens = (self.tokens + now.saturating_sub(self.at).as_secs_f64() * rate).min(rate);
        self.at = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    fn ready_at(&self, now: Duration) -> Duration {
        if self.per_second == 0 || self.tokens >= 1.0 {
            return now;
        }
        // Rounded up: woken a moment early there would be no token yet.
        self.at
            + Duration::from_secs_f64((1.0 - self.tokens) / f64::from(self.per_second))
            + Duration::from_millis(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn drain(outbox: &mut Outbox, now: Duration) -> Vec<String> {
        std::iter::from_fn(|| outbox.next(now).map(|p| p.client_msg_id.clone())).collect()
    }

    fn filled(n: u32) -> Outbox {
        let mut outbox = Outbox::new(100);
        outbox.connected(Duration::ZERO, 0);
        for i in 0..n {
            outbox.push(1, format!("m{i}"), String::new()).unwrap();
        }
        outbox
    }

    #[test]
    fn a_reconnect_resends_what_is_not_committed_in_order() {
        let mut outbox = filled(4);
        assert_eq!(drain(&mut outbox, S), ["m0", "m1", "m2", "m3"]);
        assert!(outbox.accepted("m0"));
        assert!(outbox.remove("m1").is_some());
        outbox.connected(2 * S, 0);
        assert_eq!(drain(&mut outbox, 2 * S), ["m0", "m2", "m3"], "accepted is not committed");
        assert!(!outbox.accepted("m0"), "said once");
    }

    #[test]
    fn the_pace_is_kept_over_any_burst() {
        let mut outbox = filled(25);
        outbox.connected(Duration::ZERO, 10);
        assert_eq!(drain(&mut outbox, Duration::ZERO).len(), 10);
        assert_eq!(drain(&mut outbox, S / 2).len(), 5);
        let next = outbox.deadline(S / 2).unwrap();
        assert!(next > S / 2 && next < S, "{next:?}");
        assert_eq!(drain(&mut outbox, next).len(), 1);
        assert_eq!(drain(&mut outbox, 10 * S).len(), 9);
    }

    #[test]
    fn a_message_refused_for_now_goes_again_then_and_not_before() {
        let mut outbox = filled(2);
        drain(&mut outbox, S);
        outbox.retry("m0", 3 * S);
        outbox.retry("m0", 3 * S);
        assert!(drain(&mut outbox, 2 * S).is_empty());
        assert_eq!(outbox.deadline(2 * S), Some(3 * S));
        assert_eq!(drain(&mut outbox, 3 * S), ["m0"]);
    }

    #[test]
    fn an_unanswered_message_goes_again_and_an_accepted_one_does_not() {
        let mut outbox = filled(2);
        drain(&mut outbox, S);
        outbox.accepted("m1");
        assert_eq!(outbox.deadline(S), Some(S + ANSWER_WITHIN));
        outbox.requeue_unanswered(S + ANSWER_WITHIN);
        assert_eq!(drain(&mut outbox, S + ANSWER_WITHIN), ["m0"]);
    }

    #[test]
    fn it_is_bounded_and_takes_no_id_twice() {
        let mut outbox = Outbox::new(1);
        outbox.push(1, "a".into(), String::new()).unwrap();
        outbox.push(1, "a".into(), String::new()).unwrap();
        assert_eq!(outbox.push(1, "b".into(), String::new()), Err(OutboxFull { limit: 1 }));
        outbox.remove("a");
        assert!(outbox.is_empty());
        outbox.push(1, "b".into(), String::new()).unwrap();
    }
}
