//! What each slot did, and what the process uses. Counting is two relaxed additions a batch.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gochat_core::{Slot, SlotCount};

/// Counts by slot, and which slots are owned; cheap to clone.
#[derive(Clone)]
pub struct SlotMeter(Arc<Inner>);

struct Inner {
    counts: Vec<[AtomicU64; 2]>,
    owned: Mutex<BTreeSet<u32>>,
}

impl SlotMeter {
    /// For a workload of so many slots.
    pub fn new(slots: SlotCount) -> Self {
        let counts = slots.slots().map(|_| Default::default()).collect();
        Self(Arc::new(Inner { counts, owned: Mutex::default() }))
    }

    /// Work on the slot has begun.
    pub fn own(&self, slot: Slot) {
        self.owned_set().insert(slot.0);
    }

    /// Work on the slot has ended.
    pub fn disown(&self, slot: Slot) {
        self.owned_set().remove(&slot.0);
    }

    /// The slots worked on, rising.
    pub fn owned(&self) -> Vec<Slot> {
        self.owned_set().iter().copied().map(Slot).collect()
    }

    /// Adds to a slot's counts.
    pub fn count(&self, slot: Slot, records: u64, bytes: u64) {
        if let Some([r, b]) = self.0.counts.get(slot.index()) {
            r.fetch_add(records, Ordering::Relaxed);
            b.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Records and bytes of a slot since the start.
    pub fn counts(&self, slot: Slot) -> (u64, u64) {
        let counts = self.0.counts.get(slot.index());
        counts.map_or((0, 0), |[r, b]| (r.load(Ordering::Relaxed), b.load(Ordering::Relaxed)))
    }

    fn owned_set(&self) -> std::sync::MutexGuard<'_, BTreeSet<u32>> {
        self.0.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// CPU and memory of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Since the process began.
    pub cpu: Duration,
    /// Resident now.
    pub resident_bytes: u64,
}

impl Usage {
    /// From `/proc/self`; zeros where that can't be read.
    pub fn now() -> Self {
        // Linux has reported both in these units on every common architecture for decades (USER_HZ, page size).
        const TICKS_PER_SECOND: u64 = 100;
        const PAGE_BYTES: u64 = 4096;
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The second field is the command in parentheses and may hold anything; user and system time are the 14th and 15th.
        let ticks: u64 = stat
            .rsplit_once(')')
            .map(|(_, rest)| {
                rest.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum()
            })
            .unwrap_or_default();
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages: u64 = statm.split_whitespace().nth(1).and_then(|p| p.parse().ok()).unwrap_or_default();
        Self {
            cpu: Duration::from_millis(ticks.saturating_mul(1000 / TICKS_PER_SECOND)),
            resident_bytes: pages.saturating_mul(PAGE_BYTES),
        }
    }
}

/// Rates between two readings.
pub(crate) struct Rates {
    at: Instant,
    cpu: Duration,
    counts: Vec<(u64, u64)>,
}

impl Rates {
    pub(crate) fn start(slots: SlotCount, meter: &SlotMeter) -> Self {
        let counts = slots.slots().map(|slot| meter.counts(slot)).collect();
        Self { at: Instant::now(), cpu: Usage::now().cpu, counts }
    }

    /// Per second since the last reading: of each slot (records, bytes), and of the process (CPU cores).
    pub(crate) fn read(&mut self, meter: &SlotMeter) -> (Vec<(f64, f64)>, f64) {
        let now = Instant::now();
        let seconds = now.duration_since(self.at).as_secs_f64().max(0.001);
        let cpu = Usage::now().cpu;
        let cores = cpu.saturating_sub(self.cpu).as_secs_f64() / seconds;
        (self.at, self.cpu) = (now, cpu);
        let rates = (0..)
            .map(Slot)
            .zip(&mut self.counts)
            .map(|(slot, last)| {
                let current = meter.counts(slot);
                let rate = (
                    current.0.saturating_sub(last.0) as f64 / seconds,
                    current.1.saturating_sub(last.1) as f64 / seconds,
                );
                *last = current;
                rate
            })
            .collect();
        (rates, cores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_between_two_readings() {
        let slots = SlotCount::new(2).unwrap();
        let meter = SlotMeter::new(slots);
        meter.count(Slot(1), 100, 1000);
        let mut rates = Rates::start(slots, &meter);
        assert_eq!(rates.read(&meter).0, vec![(0.0, 0.0); 2]);
        meter.count(Slot(1), 5, 50);
        meter.count(Slot(9), 5, 50);
        let (by_slot, _) = rates.read(&meter);
        assert_eq!(by_slot[0], (0.0, 0.0));
        assert!(by_slot[1].0 > 0.0 && (by_slot[1].1 / by_slot[1].0 - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_running_process_uses_memory() {
        assert!(Usage::now().resident_bytes > 0);
    }
}
