//! One partition: what is readable, who is done with what, who waits.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::frame::{self, Kind};
use super::journal::Place;
use crate::Consumed;

/// Bytes of the newest records that stay in memory, so that a reader that keeps up never touches the disk.
const TAIL_BYTES: u64 = 1 << 20;

/// One partition.
pub(super) struct Partition {
    pub(super) topic: u32,
    pub(super) number: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The earliest offset that can be read.
    start: u64,
    /// The offset after the last readable record.
    end: u64,
    /// The offset that the writer gives next; ahead of `end` while a batch is being written.
    reserved: u64,
    /// The newest records, up to `end`.
    tail: VecDeque<Consumed>,
    tail_bytes: u64,
    /// Where `start..end` stand in the journal; empty in memory.
    places: VecDeque<Place>,
    /// The committed offset of each group.
    commits: HashMap<Arc<str>, u64>,
    /// How far the groups are that have read here since the log was opened: what they have not committed is kept.
    /// A group of the past must not hold the log for ever.
    floors: HashMap<Arc<str>, u64>,
    watchers: Vec<Arc<Notify>>,
    /// Published and not told to the watchers yet.
    news: bool,
}

/// What a reader finds at its offset.
pub(super) enum Read {
    /// Nothing yet.
    Empty,
    /// In memory.
    Hot(Vec<Consumed>),
    /// On disk only.
    Cold(Vec<Place>),
}

impl Partition {
    pub(super) fn new(topic: u32, number: u32) -> Self {
        Self { topic, number, state: Mutex::default() }
    }

    /// Up to `max` records from `from` on, or from the earliest if that is later.
    pub(super) fn read(&self, from: u64, max: usize) -> Read {
        let state = self.state.lock();
        let from = from.max(state.start);
        if from >= state.end || max == 0 {
            return Read::Empty;
        }
        let tail_start = state.end - state.tail.len() as u64;
        // The differences are lengths of what is in memory: they fit.
        let length = |difference| usize::try_from(difference).unwrap_or(usize::MAX);
        if from >= tail_start {
            return Read::Hot(state.tail.iter().skip(length(from - tail_start)).take(max).cloned().collect());
        }
        let places = state.places.iter().skip(length(from - state.start));
        Read::Cold(places.take(max.min(length(tail_start - from))).copied().collect())
    }

    /// The next offset to write. Only the writer calls it.
    pub(super) fn reserve(&self) -> u64 {
        let mut state = self.state.lock();
        let offset = state.reserved;
        state.reserved += 1;
        offset
    }

    /// Takes reservations back: the batch was not written.
    pub(super) fn unreserve(&self) {
        let mut state = self.state.lock();
        state.reserved = state.end;
    }

    /// A durable record becomes readable. True if it is the first since [`Self::wake`].
    pub(super) fn publish(&self, record: Consumed, place: Place) -> bool {
        let mut state = self.state.lock();
        state.end = record.offset + 1;
        state.reserved = state.reserved.max(state.end);
        state.places.push_back(place);
        state.push(record);
        while state.tail_bytes > TAIL_BYTES && state.pop().is_some() {}
        !std::mem::replace(&mut state.news, true)
    }

    /// Appends to a log that has no disk; returns the offset.
    pub(super) fn append_in_memory(&self, mut record: Consumed, held: &AtomicU64, retention: u64) -> u64 {
        let mut state = self.state.lock();
        let offset = state.end;
        record.offset = offset;
        state.end += 1;
        held.fetch_add(record.weight(), Ordering::Relaxed);
        state.push(record);
        state.evict(held, if held.load(Ordering::Relaxed) > retention { 0 } else { TAIL_BYTES });
        state.watchers.iter().for_each(|watcher| watcher.notify_one());
        offset
    }

    /// Drops what every group is done with, past `keep` bytes. For a log that has no disk.
    pub(super) fn evict_in_memory(&self, held: &AtomicU64, keep: u64) {
        self.state.lock().evict(held, keep);
    }

    /// Tells the watchers of what was published.
    pub(super) fn wake(&self) {
        let mut state = self.state.lock();
        state.news = false;
        state.watchers.iter().for_each(|watcher| watcher.notify_one());
    }

    /// A consumer of the group begins here; returns its offset.
    pub(super) fn watch(&self, group: &Arc<str>, watcher: &Arc<Notify>) -> u64 {
        let mut state = self.state.lock();
        let from = state.commits.get(group).copied().unwrap_or(0).clamp(state.start, state.end);
        state.floors.insert(Arc::clone(group), from);
        state.watchers.push(Arc::clone(watcher));
        from
    }

    pub(super) fn unwatch(&self, watcher: &Arc<Notify>) {
        self.state.lock().watchers.retain(|other| !Arc::ptr_eq(other, watcher));
    }

    /// The group is done with everything below `next`.
    pub(super) fn commit(&self, group: &Arc<str>, next: u64) {
        let mut state = self.state.lock();
        state.commits.insert(Arc::clone(group), next);
        if let Some(floor) = state.floors.get_mut(group) {
            *floor = next;
        }
    }

    /// Records between the group's committed offset and the end.
    pub(super) fn lag(&self, group: &str) -> u64 {
        let state = self.state.lock();
        state.end - state.commits.get(group).copied().unwrap_or(0).clamp(state.start, state.end)
    }

    /// True if every group that reads here is done with everything below `end`.
    pub(super) fn is_done_below(&self, end: u64) -> bool {
        self.state.lock().floors.values().all(|&floor| floor >= end)
    }

    /// The journal's segments up to `segment` are gone.
    pub(super) fn retire(&self, segment: u32) {
        let mut state = self.state.lock();
        while state.places.front().is_some_and(|place| place.segment <= segment) {
            state.places.pop_front();
            state.start += 1;
        }
        while (state.tail.len() as u64) > state.end - state.start && state.pop().is_some() {}
    }

    /// Where the partition stood when a segment began; only the first segment tells anything new.
    pub(super) fn replay_start(&self, offset: u64) {
        let mut state = self.state.lock();
        if state.end < offset && state.places.is_empty() {
            (state.start, state.end, state.reserved) = (offset, offset, offset);
        }
    }

    /// Everything but the records.
    pub(super) fn snapshot(&self, entries: &mut Vec<Kind>) {
        let state = self.state.lock();
        let (topic, partition) = (self.topic, self.number);
        if state.end > 0 {
            entries.push(Kind::Start(frame::Start { topic, partition, offset: state.end }));
        }
        for (group, &next) in &state.commits {
            entries.push(Kind::Commit(frame::Commit { topic, partition, group: group.to_string(), next }));
        }
    }
}

impl State {
    fn push(&mut self, record: Consumed) {
        self.tail_bytes += record.weight();
        self.tail.push_back(record);
    }

    fn pop(&mut self) -> Option<u64> {
        let weight = self.tail.pop_front()?.weight();
        self.tail_bytes -= weight;
        Some(weight)
    }

    fn evict(&mut self, held: &AtomicU64, keep: u64) {
        let floor = self.floors.values().copied().min().unwrap_or(u64::MAX);
        while self.tail_bytes > keep && self.start < floor.min(self.end) {
            let Some(weight) = self.pop() else { break };
            held.fetch_sub(weight, Ordering::Relaxed);
            self.start += 1;
        }
    }
}
