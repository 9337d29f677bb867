//! One conversation's line of messages: whatever comes, and however often, goes out once and by rising seq.

use std::collections::BTreeMap;

use gochat_proto::types::Message;

/// Messages kept that came before their turn; past it they are dropped and pulled again later.
const EARLY_LIMIT: usize = 256;

/// What goes out to the reader.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Delivery {
    Message(Message),
    /// `from..=to` don't exist any more.
    Hole {
        from: u64,
        to: u64,
    },
}

/// What a push was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Its turn: delivered, and whatever waited behind it.
    InOrder,
    /// Something before it is missing.
    Early,
    /// The reader has it, or will.
    Duplicate,
}

#[derive(Debug, Default)]
pub(super) struct Line {
    /// The reader has everything up to here.
    delivered: u64,
    /// The largest seq that we know to exist.
    head: u64,
    early: BTreeMap<u64, Message>,
}

impl Line {
    /// The reader has (or doesn't want) everything up to `seq`.
    pub(super) fn starting_after(seq: u64) -> Self {
        Self { delivered: seq, head: seq, early: BTreeMap::new() }
    }

    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// Something that exists has not been delivered.
    pub(super) fn has_gap(&self) -> bool {
        self.delivered < self.head
    }

    /// The conversation is known to reach this far.
    pub(super) fn observe(&mut self, head: u64) {
        self.head = self.head.max(head);
    }

    /// A message pushed by the server.
    pub(super) fn push(&mut self, message: Message, out: &mut Vec<Delivery>) -> Arrival {
        let seq = message.seq;
        self.observe(seq);
        if seq <= self.delivered || self.early.contains_key(&seq) {
            return Arrival::Duplicate;
        }
        if seq > self.delivered + 1 {
            if self.early.len() < EARLY_LIMIT {
                self.early.insert(seq, message);
            }
            return Arrival::Early;
        }
        self.deliver(message, out);
        self.release(out);
        Arrival::InOrder
    }

    /// A page of history that was asked upwards from a seq that had been delivered, when `asked_head` was known.
    ///
    /// Such a page names everything that exists in its range, so what it skips is gone. Returns whether the line still
    /// has a gap (ask again from [`Self::delivered`]).
    pub(super) fn page(
        &mut self,
        messages: Vec<Message>,
        more: bool,
        last_seq: u64,
        asked_head: u64,
        out: &mut Vec<Delivery>,
    ) -> bool {
        let is_last = !more || messages.is_empty();
        for message in messages {
            self.skip_to(message.seq, out);
            if message.seq == self.delivered + 1 {
                self.early.remove(&message.seq);
                self.deliver(message, out);
            }
        }
        self.release(out);
        if is_last {
            // What we knew of when we asked and the server had when it answered, yet did not name, is gone.
            self.skip_to(asked_head.min(last_seq) + 1, out);
            self.release(out);
            if asked_head > last_seq {
                // The database lost its newest commits (a fail-over): don't ask for them for ever.
                self.head = last_seq;
            }
        }
        let early = self.early.last_key_value().map_or(0, |(seq, _)| *seq);
        self.head = self.head.max(last_seq).max(self.delivered).max(early);
        self.has_gap()
    }

    fn deliver(&mut self, message: Message, out: &mut Vec<Delivery>) {
        self.delivered = message.seq;
        out.push(Delivery::Message(message));
    }

    /// Delivers what waited and has its turn now.
    fn release(&mut self, out: &mut Vec<Delivery>) {
        while let Some(message) = self.early.remove(&(self.delivered + 1)) {
            self.deliver(message, out);
        }
    }

    /// Everything before `seq` that we don't have is gone.
    fn skip_to(&mut self, seq: u64, out: &mut Vec<Delivery>) {
        self.release(out);
        while self.delivered + 1 < seq {
            let next = self.early.first_key_value().map_or(seq, |(early, _)| (*early).min(seq));
            if self.delivered + 1 < next {
                out.push(Delivery::Hole { from: self.delivered + 1, to: next - 1 });
                self.delivered = next - 1;
            }
            self.release(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seq: u64) -> Message {
        Message { conversation_id: 7, seq, message_id: 100 + seq, ..Message::default() }
    }

    fn seqs(out: &[Delivery]) -> Vec<String> {
        out.iter()
            .map(|d| match d {
                Delivery::Message(m) => m.seq.to_string(),
                Delivery::Hole { from, to } => format!("gone {from}-{to}"),
            })
            .collect()
    }

    #[test]
    fn early_messages_wait_for_their_turn() {
        let (mut line, mut out) = (Line::default(), Vec::new());
        assert_eq!(line.push(message(1), &mut out), Arrival::InOrder);
        assert_eq!(line.push(message(3), &mut out), Arrival::Early);
        assert_eq!(line.push(message(3), &mut out), Arrival::Duplicate);
        assert!(line.has_gap());
        assert_eq!(line.push(message(2), &mut out), Arrival::InOrder);
        assert_eq!(line.push(message(1), &mut out), Arrival::Duplicate);
        assert_eq!(seqs(&out), ["1", "2", "3"]);
        assert!(!line.has_gap());
    }

    #[test]
    fn what_a_page_skips_is_gone_and_said_so() {
        let (mut line, mut out) = (Line::default(), Vec::new());
        line.push(message(9), &mut out);
        let again = line.page(vec![message(5), message(6), message(8)], false, 9, 9, &mut out);
        assert_eq!(seqs(&out), ["gone 1-4", "5", "6", "gone 7-7", "8", "9"]);
        assert!(!again);
    }

    #[test]
    fn a_page_older_than_a_push_makes_no_hole() {
        let (mut line, mut out) = (Line::default(), Vec::new());
        line.observe(2);
        // Asked when the head was 2; 3 and 4 are written meanwhile, and 4 is pushed before the answer.
        line.push(message(4), &mut out);
        assert!(line.page(vec![message(1), message(2)], false, 2, 2, &mut out), "3 is to be asked for");
        assert!(!line.page(vec![message(3), message(4)], false, 4, 4, &mut out));
        assert_eq!(seqs(&out), ["1", "2", "3", "4"]);
    }

    #[test]
    fn commits_lost_by_the_database_are_not_asked_for_for_ever() {
        let (mut line, mut out) = (Line::starting_after(3), Vec::new());
        line.observe(6);
        assert!(!line.page(vec![message(4)], false, 4, 6, &mut out));
        assert_eq!(seqs(&out), ["4"]);
        line.push(message(5), &mut out);
        assert_eq!(seqs(&out), ["4", "5"]);
    }

    #[test]
    fn early_messages_are_bounded_and_pulled_again() {
        let (mut line, mut out) = (Line::default(), Vec::new());
        let last = 3 * EARLY_LIMIT as u64;
        for seq in 2..=last {
            line.push(message(seq), &mut out);
        }
        assert_eq!(line.early.len(), EARLY_LIMIT);
        while line.has_gap() {
            let after = line.delivered();
            let page: Vec<_> = (after + 1..=last).take(100).map(message).collect();
            let more = after + 100 < last;
            line.page(page, more, last, line.head(), &mut out);
        }
        let want: Vec<_> = (1..=last).map(|seq| seq.to_string()).collect();
        assert_eq!(seqs(&out), want);
    }
}
