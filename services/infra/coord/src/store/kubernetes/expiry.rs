//! Which sessions have not been renewed for too long. Pure: the clock is a parameter.
//!
//! # Guarantees
//! - A session is over only where the observer has seen one and the same version of it for the session's TTL, and its
//!   own renewals went through all that time: what it can't have seen because it was itself paused or cut off counts
//!   for nobody.

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
    /// Between two beats; above it nobody is judged, and all clocks start again with the next.
    longest_gap: Duration,
    last_beat: Option<Instant>,
    /// Each session, and since when it is that version.
    seen: HashMap<Lease, (Sighting, Instant)>,
}

impl Expiry {
    /// `ttl` is the observer's own, whose beats are the renewals of its own session.
    pub(super) fn new(ttl: Duration) -> Self {
        Self { longest_gap: ttl / 2, last_beat: None, seen: HashMap::new() }
    }

    /// The observer could renew its own session.
    pub(super) fn beat(&mut self, now: Instant) {
        if !self.is_connected(now) {
            self.seen.values_mut().for_each(|(_, since)| *since = now);
        }
        self.last_beat = Some(now);
    }

    /// What is there now.
    pub(super) fn look(&mut self, now: Instant, sessions: impl IntoIterator<Item = Sighting>) {
        let before = std::mem::take(&mut self.seen);
        self.seen = sessions
            .into_iter()
            .map(|session| {
                let same = before.get(&session.lease).filter(|(seen, _)| seen.revision == session.revision);
                let since = same.map_or(now, |(_, since)| *since);
                (session.lease, (session, since))
            })
            .collect();
    }

    /// What is over.
    pub(super) fn over(&self, now: Instant) -> Vec<Sighting> {
        let over = |(session, since): &&(Sighting, Instant)| now >= *since + session.ttl;
        if !self.is_connected(now) {
            return Vec::new();
        }
        self.seen.values().filter(over).map(|(session, _)| session.clone()).collect()
    }

    /// When something will be over, if nothing happens before.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let ends = self.seen.values().map(|(session, since)| *since + session.ttl);
        ends.min().filter(|_| self.is_connected(now))
    }

    /// What comes of it will be a new sight.
    pub(super) fn forget(&mut self, lease: Lease) {
        self.seen.remove(&lease);
    }

    /// The observer was cut off: what it has seen so far does not count.
    pub(super) fn restart(&mut self) {
        self.last_beat = None;
    }

    fn is_connected(&self, now: Instant) -> bool {
        self.last_beat.is_some_and(|last| now.duration_since(last) <= self.longest_gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(2);
    const BEAT: Duration = Duration::from_millis(500);

    /// An observer that beats and looks twice a second, and what it has found over at which beat.
    struct Observer {
        expiry: Expiry,
        now: Instant,
        over: Vec<(u32, Lease)>,
    }

    impl Observer {
        fn new() -> Self {
            Self { expiry: Expiry::new(TTL), now: Instant::now(), over: Vec::new() }
        }

        fn beats(&mut self, count: u32, sessions: impl Fn(u32) -> Vec<Sighting>) -> &mut Self {
            for n in 0..count {
                self.expiry.beat(self.now);
                self.expiry.look(self.now, sessions(n));
                self.over.extend(self.expiry.over(self.now).iter().map(|s| (n, s.lease)));
                self.now += BEAT;
            }
            self
        }
    }

    fn session(lease: Lease, revision: i64) -> Sighting {
        Sighting { lease, revision, ttl: TTL }
    }

    #[test]
    fn a_session_that_is_not_renewed_is_over_after_its_ttl() {
        let mut observer = Observer::new();
        observer.beats(5, |n| vec![session(1, 7), session(2, 10 + i64::from(n))]);
        assert_eq!(observer.over, [(4, 1)]);
    }

    #[test]
    fn the_next_end_is_known_before_it_comes() {
        let mut observer = Observer::new();
        let start = observer.now;
        observer.beats(2, |n| vec![session(1, 7), session(2, 10 + i64::from(n))]);
        assert_eq!(observer.expiry.wake_at(observer.now), Some(start + TTL));
    }

    #[test]
    fn a_session_with_a_longer_ttl_of_its_own_has_it() {
        let mut observer = Observer::new();
        observer.beats(8, |_| vec![Sighting { ttl: TTL * 2, ..session(1, 7) }]);
        assert_eq!(observer.over, []);
    }

    #[test]
    fn after_a_gap_everybody_has_a_whole_ttl_to_renew() {
        let mut observer = Observer::new();
        observer.beats(4, |_| vec![session(1, 7)]);
        // Paused, or the API server was away: nobody could be renewed, or it could not be seen.
        observer.now += TTL * 10;
        assert_eq!(observer.expiry.over(observer.now), [], "not before a beat");
        assert_eq!(observer.expiry.wake_at(observer.now), None);
        observer.beats(5, |_| vec![session(1, 7)]);
        assert_eq!(observer.over, [(4, 1)]);
    }

    #[test]
    fn a_failure_starts_all_clocks_again() {
        let mut observer = Observer::new();
        observer.beats(4, |_| vec![session(1, 7)]).expiry.restart();
        assert_eq!(observer.beats(4, |_| vec![session(1, 7)]).over, []);
    }

    #[test]
    fn a_session_that_has_gone_and_come_back_is_new() {
        let mut observer = Observer::new();
        observer.beats(5, |n| if n == 1 { vec![] } else { vec![session(1, 7)] });
        assert_eq!(observer.over, []);
    }
}
