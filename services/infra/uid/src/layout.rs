//! What an id's bits mean: 41 of milliseconds since the epoch (to the year 2093), 10 of worker, 12 of sequence.

/// 2024-01-01T00:00:00Z in milliseconds since 1970. Ids are stored: it never changes.
pub const EPOCH_MS: u64 = 1_704_067_200_000;

pub(crate) const WORKERS: u16 = 1 << WORKER_BITS;
pub(crate) const SEQUENCES: u16 = 1 << SEQUENCE_BITS;
/// The last millisecond that fits.
pub(crate) const LAST_MS: u64 = (1 << 41) - 1;

const WORKER_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 12;

/// An id taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parts {
    /// Milliseconds since [`EPOCH_MS`].
    pub ms: u64,
    /// Below 1,024.
    pub worker: u16,
    /// Below 4,096.
    pub sequence: u16,
}

impl Parts {
    pub(crate) const fn id(self) -> u64 {
        self.ms << (WORKER_BITS + SEQUENCE_BITS)
            | (self.worker as u64) << SEQUENCE_BITS
            | self.sequence as u64
    }
}

impl From<u64> for Parts {
    #[allow(clippy::cast_possible_truncation, reason = "masked to the bits that there are")]
    fn from(id: u64) -> Self {
        Self {
            ms: id >> (WORKER_BITS + SEQUENCE_BITS),
            worker: (id >> SEQUENCE_BITS) as u16 & (WORKERS - 1),
            sequence: id as u16 & (SEQUENCES - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_layout_never_changes() {
        // Ids are stored and compared with those of other versions.
        assert_eq!(Parts { ms: 1, worker: 1, sequence: 1 }.id(), 0x40_1001);
        assert_eq!(EPOCH_MS, 1_704_067_200_000);
    }

    proptest! {
        #[test]
        fn an_id_is_its_parts(ms in 0..=LAST_MS, worker in 0..WORKERS, sequence in 0..SEQUENCES) {
            let parts = Parts { ms, worker, sequence };
            prop_assert_eq!(Parts::from(parts.id()), parts);
            prop_assert!(i64::try_from(parts.id()).is_ok(), "fits a signed column");
        }
    }
}
