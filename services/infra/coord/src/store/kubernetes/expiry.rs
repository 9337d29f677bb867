//! Which sessions have not been renewed for too long. Pure: the clock is a parameter.
//!
//! # Guarantees
//! - A session is over only where the observer has seen one and the same version of it for the session's TTL, and has
//!   looked all that time: what it can't have seen because it was itself paused or cut off counts for nobody.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::names;
use crate::store::{Entry, Lease};

/// A session as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    pub(super) lease: Lease,
    /// Changes with every renewal.
    pub(super) revision: i64,
    /// Its own, which during a rollout of new settings may differ from the observer's.
    pub(super) ttl: Duration,
}

impl Sighting {
    /// From a session's object; `None` where it can't be one.
    pub(super) fn of(key: &str, entry: &Entry) -> Option<Self> {
        let lease = names::lease(key.strip_prefix(names::SESSIONS)?);
        let seconds = std::str::from_utf8(&entry.value).ok()?.parse().ok()?;
        Some(Self { lease, revision: entry.revision, ttl: Duration::from_secs(seconds) })
    }
}

pub(super) struct Expiry {
    /// Between two looks; above it, the look before doesn't count.
    longest_gap: Duration,
    last_look: Option<Instant>,
    /// Of each session its version, and since when it is that.
    seen: HashMap<Lease, (i64, Instant)>,
}

impl Expiry {
    /// `ttl` is the observer's own, who looks at every renewal of its own session.
    pub(super) fn new(ttl: Duration) -> Self {
        Self { longest_gap: ttl / 2, last_look: None, seen: HashMap::new() }
    }

    /// What is there now; gives what is over.
    pub(super) fn look(&mut self, now: Instant, sessions: Vec<Sighting>) -> Vec<Sighting> {
        let unbroken = self.last_look.is_some_and(|last| now.duration_since(last) <= self.longest_gap);
        self.last_look = Some(now);
        let before = std::mem::take(&mut self.seen);
        let since = |session: &Sighting| match before.get(&session.lease) {
            Some((revision, since)) if unbroken && *revision == session.revision => *since,
            _ => now,
        };
        self.seen = sessions.iter().map(|s| (s.lease, (s.revision, since(s)))).collect();
        sessions.into_iter().filter(|s| now.duration_since(since(s)) >= s.ttl).collect()
    }

    /// The observer was cut off: what it has seen so far does not count.
    pub(super) fn restart(&mut self) {
        self.last_look = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(2);

    fn session(lease: Lease, revision: i64) -> Sighting {
        Sighting { lease, revision, ttl: TTL }
    }

    /// Looks every 600 ms from `from` on; what is over at each look.
    fn looks(expiry: &mut Expiry, from: Instant, sessions: impl Fn(i64) -> Vec<Sighting>) -> Vec<Vec<Lease>> {
        (0..5)
            .map(|n| {
                let at = from + Duration::from_millis(600) * u32::try_from(n).unwrap();
                expiry.look(at, sessions(n)).iter().map(|s| s.lease).collect()
            })
            .collect()
    }

    #[test]
    fn a_session_that_is_not_renewed_is_over_after_its_ttl() {
        let mut expiry = Expiry::new(TTL);
        let over = looks(&mut expiry, Instant::now(), |n| vec![session(1, 7), session(2, 10 + n)]);
        assert_eq!(over, [vec![], vec![], vec![], vec![], vec![1]]);
    }

    #[test]
    fn a_session_with_a_longer_ttl_of_its_own_has_it() {
        let mut expiry = Expiry::new(TTL);
        let slow = Sighting { ttl: TTL * 2, ..session(1, 7) };
        assert!(looks(&mut expiry, Instant::now(), |_| vec![slow.clone()]).concat().is_empty());
    }

    #[test]
    fn after_a_gap_everybody_has_a_whole_ttl_to_renew() {
        let mut expiry = Expiry::new(TTL);
        let start = Instant::now();
        assert!(expiry.look(start, vec![session(1, 7)]).is_empty());
        // Paused, or the API server was away: nobody could be renewed, or it could not be seen.
        let back = start + TTL * 10;
        assert_eq!(
            looks(&mut expiry, back, |_| vec![session(1, 7)]),
            [vec![], vec![], vec![], vec![], vec![1]]
        );
    }

    #[test]
    fn a_failed_look_starts_all_clocks_again() {
        let mut expiry = Expiry::new(TTL);
        let start = Instant::now();
        for n in 0..4 {
            assert!(expiry.look(start + Duration::from_millis(600) * n, vec![session(1, 7)]).is_empty());
        }
        expiry.restart();
        assert!(expiry.look(start + Duration::from_millis(2400), vec![session(1, 7)]).is_empty());
    }

    #[test]
    fn a_session_that_has_gone_and_come_back_is_new() {
        let mut expiry = Expiry::new(TTL);
        let over = looks(&mut expiry, Instant::now(), |n| if n == 1 { vec![] } else { vec![session(1, 7)] });
        assert!(over.concat().is_empty());
    }
}
