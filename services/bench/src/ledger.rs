//! The ledger: every message's way, by number, and whether it all adds up. Pure: time is a parameter.
//!
//! Readers are fed after the client library's ordering, so each must see its conversations' seqs one by one; what the
//! servers agreed on (which message has which seq) must be the same in every reader's eyes.
//!
//! 40 bytes a message, 4 a seq, 40 a reader: a minute of 10,000 messages/s takes about 30 MB.

use std::time::Duration;

use hdrhistogram::Histogram;

/// A conversation of the run.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) conversation: u64,
    /// Indices of users.
    pub(crate) members: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    sent_at: Duration,
    talk: u32,
    /// Other members that have not got it.
    remaining: u32,
    /// 0: not known.
    seq: u64,
    accepted: bool,
    refused: bool,
    measured: bool,
}

#[derive(Clone, Debug, Default)]
struct Reader {
    /// 0 until it listed the conversation.
    start: Option<u64>,
    last: u64,
    /// Seqs that were never delivered to it.
    skipped: Vec<(u64, u64)>,
}

#[derive(Debug, Default)]
struct Line {
    /// The run's messages come after this seq.
    base: Option<u64>,
    /// Message number + 1 by seq after base; 0: nobody saw it.
    by_seq: Vec<u32>,
    readers: Vec<Reader>,
}

/// A message that is not of this run.
const FOREIGN: u32 = u32::MAX;

/// Latencies of one kind, in microseconds.
pub(crate) type Latency = Histogram<u64>;

#[derive(Debug)]
pub(crate) struct Ledger {
    lines: Vec<Line>,
    entries: Vec<Entry>,
    pub(crate) accepted: u64,
    pub(crate) committed: u64,
    pub(crate) delivered: u64,
    pub(crate) refused: u64,
    pub(crate) unsent: u64,
    out_of_order: u64,
    /// Two messages at one seq, or one at two.
    conflicts: u64,
    pub(crate) to_accepted: Latency,
    pub(crate) to_committed: Latency,
    pub(crate) to_other: Latency,
    /// Until the last other member has it.
    pub(crate) to_last: Latency,
}

/// What it adds up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Accepted messages × members that have not got them.
    pub(crate) missing: u64,
    /// Deliveries whose seq was not above the one before.
    pub(crate) out_of_order: u64,
    /// Seqs that no one ever saw, or that one reader was never given.
    pub(crate) gaps: u64,
    /// Messages stored twice, or two at one seq.
    pub(crate) conflicts: u64,
}

impl Verdict {
    pub(crate) fn is_clean(self) -> bool {
        self == Self::default()
    }
}

fn latency() -> Latency {
    // Auto-resizing, three digits: can't fail for these constants.
    Histogram::new(3).unwrap_or_else(|_| unreachable!("3 significant digits are allowed"))
}

fn record(histogram: &mut Latency, span: Duration) {
    // A histogram that resizes takes any value.
    let _ = histogram.record(u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1));
}

impl Ledger {
    pub(crate) fn new(talks: &[Talk]) -> Self {
        let line = |t: &Talk| Line { readers: vec![Reader::default(); t.members.len()], ..Line::default() };
        Self {
            lines: talks.iter().map(line).collect(),
            entries: Vec::new(),
            accepted: 0,
            committed: 0,
            delivered: 0,
            refused: 0,
            unsent: 0,
            out_of_order: 0,
            conflicts: 0,
            to_accepted: latency(),
            to_committed: latency(),
            to_other: latency(),
            to_last: latency(),
        }
    }

    pub(crate) fn sent(&self) -> u64 {
        self.entries.len() as u64
    }

    /// A reader listed the conversation: what it gets comes after `last_seq`. Only the first time counts.
    pub(crate) fn listed(&mut self, talk: usize, reader: usize, last_seq: u64) {
        let Some(line) = self.lines.get_mut(talk) else { return };
        let Some(reader) = line.readers.get_mut(reader) else { return };
        if reader.start.is_none() {
            reader.start = Some(last_seq);
            reader.last = last_seq;
            line.base.get_or_insert(last_seq);
        }
    }

    /// A message is due; `None` past 4 billion.
    pub(crate) fn send(&mut self, talk: usize, at: Duration, measured: bool) -> Option<u32> {
        let number = u32::try_from(self.entries.len()).ok().filter(|n| *n < FOREIGN - 1)?;
        let others = self.lines.get(talk)?.readers.len().saturating_sub(1);
        self.entries.push(Entry {
            sent_at: at,
            talk: u32::try_from(talk).ok()?,
            remaining: u32::try_from(others).unwrap_or(u32::MAX),
            seq: 0,
            accepted: false,
            refused: false,
            measured,
        });
        Some(number)
    }

    /// The client could not take it.
    pub(crate) fn unsent(&mut self) {
        self.unsent += 1;
    }

    pub(crate) fn accepted(&mut self, number: u32, at: Duration) {
        let Some(entry) = self.entries.get_mut(number as usize) else { return };
        if !std::mem::replace(&mut entry.accepted, true) {
            self.accepted += 1;
            if entry.measured {
                record(&mut self.to_accepted, at.saturating_sub(entry.sent_at));
            }
        }
    }

    pub(crate) fn refused(&mut self, number: u32) {
        if let Some(entry) = self.entries.get_mut(number as usize) {
            entry.refused = true;
            self.refused += 1;
        }
    }

    pub(crate) fn committed(&mut self, number: u32, seq: u64, at: Duration) {
        self.accepted(number, at);
        let Some(entry) = self.entries.get(number as usize).copied() else { return };
        self.committed += 1;
        if entry.measured {
            record(&mut self.to_committed, at.saturating_sub(entry.sent_at));
        }
        self.place(entry.talk as usize, seq, number);
    }

    /// A reader got the message at `seq`; `number` is `None` where it is not of this run.
    pub(crate) fn delivered(
        &mut self,
        talk: usize,
        reader: usize,
        seq: u64,
        number: Option<u32>,
        own: bool,
        at: Duration,
    ) {
        let Some(to) = self.lines.get_mut(talk).and_then(|l| l.readers.get_mut(reader)) else { return };
        if to.start.is_none() {
            to.start = Some(seq.saturating_sub(1));
            to.last = seq.saturating_sub(1);
        }
        if seq <= to.last {
            self.out_of_order += 1;
            return;
        }
        if seq > to.last + 1 {
            to.skipped.push((to.last + 1, seq - 1));
        }
        to.last = seq;
        self.place(talk, seq, number.unwrap_or(FOREIGN));
        let entry = number.and_then(|n| self.entries.get_mut(n as usize));
        if let Some(entry) = entry.filter(|_| !own) {
            self.delivered += 1;
            entry.remaining = entry.remaining.saturating_sub(1);
            if entry.measured {
                let span = at.saturating_sub(entry.sent_at);
                record(&mut self.to_other, span);
                if entry.remaining == 0 {
                    record(&mut self.to_last, span);
                }
            }
        }
    }

    /// Notes which message has which seq; all must agree.
    fn place(&mut self, talk: usize, seq: u64, number: u32) {
        let Some(line) = self.lines.get_mut(talk) else { return };
        let base = *line.base.get_or_insert(seq - 1);
        let Some(index) = seq.checked_sub(base + 1).and_then(|i| usize::try_from(i).ok()) else { return };
        if line.by_seq.len() <= index {
            line.by_seq.resize(index + 1, 0);
        }
        let mark = if number == FOREIGN { FOREIGN } else { number + 1 };
        match line.by_seq.get_mut(index) {
            Some(slot) if *slot == 0 => *slot = mark,
            Some(slot) if *slot != mark => self.conflicts += 1,
            _ => {}
        }
        if let Some(entry) = self.entries.get_mut(number as usize) {
            if entry.seq != 0 && entry.seq != seq {
                self.conflicts += 1;
            }
            entry.seq = seq;
        }
    }

    /// To be asked when all is quiet and every reader has synced.
    pub(crate) fn verdict(&self) -> Verdict {
        let mut verdict =
            Verdict { out_of_order: self.out_of_order, conflicts: self.conflicts, ..Verdict::default() };
        for line in &self.lines {
            verdict.gaps += line.by_seq.iter().filter(|mark| **mark == 0).count() as u64;
            verdict.gaps +=
                line.readers.iter().flat_map(|r| &r.skipped).map(|(from, to)| to - from + 1).sum::<u64>();
        }
        for entry in self.entries.iter().filter(|e| e.accepted && !e.refused) {
            let Some(line) = self.lines.get(entry.talk as usize) else { continue };
            let has = |r: &&Reader| {
                entry.seq != 0
                    && r.last >= entry.seq
                    && !r.skipped.iter().any(|(from, to)| (*from..=*to).contains(&entry.seq))
            };
            verdict.missing += (line.readers.len() - line.readers.iter().filter(has).count()) as u64;
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// One conversation of three, listed at seq 10; three messages sent and accepted.
    fn begun() -> Ledger {
        let mut ledger = Ledger::new(&[Talk { conversation: 7, members: vec![0, 1, 2] }]);
        for reader in 0..3 {
            ledger.listed(0, reader, 10);
        }
        for _ in 0..3 {
            let number = ledger.send(0, MS, true).unwrap();
            ledger.accepted(number, 2 * MS);
        }
        ledger
    }

    fn deliver(ledger: &mut Ledger, reader: usize, seqs: &[(u64, u32)]) {
        for (seq, number) in seqs {
            ledger.delivered(0, reader, *seq, Some(*number), reader == 0, 5 * MS);
        }
    }

    const ALL: [(u64, u32); 3] = [(11, 0), (12, 1), (13, 2)];

    #[test]
    fn a_true_history_is_clean_and_counted() {
        let mut ledger = begun();
        for reader in 0..3 {
            deliver(&mut ledger, reader, &ALL);
        }
        for (seq, number) in ALL {
            ledger.committed(number, seq, 4 * MS);
        }
        assert!(ledger.verdict().is_clean(), "{:?}", ledger.verdict());
        assert_eq!((ledger.sent(), ledger.accepted, ledger.committed, ledger.delivered), (3, 3, 3, 6));
        assert_eq!(ledger.to_last.len(), 3);
        assert_eq!(ledger.to_committed.max() / 100, 30, "3 ms");
    }

    #[test]
    fn a_message_that_one_member_lacks_is_missing() {
        let mut ledger = begun();
        deliver(&mut ledger, 0, &ALL);
        deliver(&mut ledger, 1, &ALL);
        deliver(&mut ledger, 2, &ALL[..2]);
        assert_eq!(ledger.verdict(), Verdict { missing: 1, ..Verdict::default() });
    }

    #[test]
    fn an_accepted_message_that_nobody_got_is_missing_at_all() {
        let mut ledger = begun();
        for reader in 0..3 {
            deliver(&mut ledger, reader, &ALL[..2]);
        }
        assert_eq!(ledger.verdict(), Verdict { missing: 3, ..Verdict::default() });
    }

    #[test]
    fn a_message_skipped_for_one_reader_is_missing_and_a_gap() {
        let mut ledger = begun();
        deliver(&mut ledger, 0, &ALL);
        deliver(&mut ledger, 1, &ALL);
        deliver(&mut ledger, 2, &[ALL[0], ALL[2]]);
        assert_eq!(ledger.verdict(), Verdict { missing: 1, gaps: 1, ..Verdict::default() });
    }

    #[test]
    fn a_seq_that_nobody_ever_saw_is_a_gap() {
        let mut ledger = begun();
        for reader in 0..3 {
            deliver(&mut ledger, reader, &[(11, 0), (12, 1), (14, 2)]);
        }
        assert_eq!(ledger.verdict().gaps, 1 + 3, "one seq, at three readers");
    }

    #[test]
    fn a_message_delivered_late_or_twice_is_out_of_order() {
        let mut ledger = begun();
        deliver(&mut ledger, 0, &ALL);
        deliver(&mut ledger, 1, &ALL);
        deliver(&mut ledger, 2, &[ALL[0], ALL[1], ALL[1], ALL[2]]);
        assert_eq!(ledger.verdict(), Verdict { out_of_order: 1, ..Verdict::default() });
    }

    #[test]
    fn readers_that_disagree_are_a_conflict() {
        let mut ledger = begun();
        deliver(&mut ledger, 0, &ALL);
        deliver(&mut ledger, 1, &ALL);
        deliver(&mut ledger, 2, &[(11, 1), (12, 0), (13, 2)]);
        assert!(ledger.verdict().conflicts > 0);
        assert!(!ledger.verdict().is_clean());
    }

    #[test]
    fn a_message_stored_twice_is_a_conflict() {
        let mut ledger = begun();
        for reader in 0..3 {
            deliver(&mut ledger, reader, &[(11, 0), (12, 1), (13, 2), (14, 0)]);
        }
        assert!(ledger.verdict().conflicts > 0);
    }

    #[test]
    fn what_was_never_accepted_is_owed_to_nobody() {
        let mut ledger = begun();
        ledger.send(0, MS, true).unwrap();
        for reader in 0..3 {
            deliver(&mut ledger, reader, &ALL);
        }
        assert!(ledger.verdict().is_clean());
    }
}
