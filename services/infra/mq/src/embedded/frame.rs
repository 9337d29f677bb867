//! The journal's bytes: `length u32 | crc32 u32 | entry` (little endian), the entry in protobuf. Pure.

use bytes::Bytes;
use prost::Message;

use crate::Consumed;

/// Length and checksum.
const HEADER: usize = 8;

/// What the journal knows.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Entry {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5")]
    pub(super) kind: Option<Kind>,
}

/// One of these per frame.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Kind {
    /// A topic exists.
    #[prost(message, tag = "1")]
    Topic(Topic),
    /// Where a partition stood when the segment began.
    #[prost(message, tag = "2")]
    Start(Start),
    /// A group is done with everything below.
    #[prost(message, tag = "3")]
    Commit(Commit),
    /// The segment's snapshot is complete.
    #[prost(bool, tag = "4")]
    Ready(bool),
    /// A record.
    #[prost(message, tag = "5")]
    Record(Stored),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Topic {
    #[prost(uint32, tag = "1")]
    pub(super) id: u32,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(uint32, tag = "3")]
    pub(super) partitions: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Start {
    #[prost(uint32, tag = "1")]
    pub(super) topic: u32,
    #[prost(uint32, tag = "2")]
    pub(super) partition: u32,
    #[prost(uint64, tag = "3")]
    pub(super) offset: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Commit {
    #[prost(uint32, tag = "1")]
    pub(super) topic: u32,
    #[prost(uint32, tag = "2")]
    pub(super) partition: u32,
    #[prost(string, tag = "3")]
    pub(super) group: String,
    #[prost(uint64, tag = "4")]
    pub(super) next: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Stored {
    #[prost(uint32, tag = "1")]
    pub(super) topic: u32,
    #[prost(uint32, tag = "2")]
    pub(super) partition: u32,
    #[prost(uint64, tag = "3")]
    pub(super) offset: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) payload: Bytes,
    #[prost(message, repeated, tag = "6")]
    pub(super) headers: Vec<Header>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Header {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
}

impl Stored {
    /// Shares the record's bytes.
    pub(super) fn of(topic: u32, record: &Consumed) -> Self {
        let headers = record.headers.iter();
        Self {
            topic,
            partition: record.partition,
            offset: record.offset,
            key: record.key.clone(),
            payload: record.payload.clone(),
            headers: headers
                .map(|(name, value)| Header { name: name.clone(), value: value.clone() })
                .collect(),
        }
    }

    /// A copy that does not hold the segment's bytes.
    pub(super) fn to_consumed(&self) -> Consumed {
        let headers = self.headers.iter().map(|header| (header.name.as_str(), header.value.as_ref()));
        Consumed::compact(self.partition, self.offset, &self.key, &self.payload, headers)
    }
}

/// Appends one frame; returns its length.
pub(super) fn write(kind: Kind, buffer: &mut Vec<u8>) -> usize {
    let entry = Entry { kind: Some(kind) }.encode_to_vec();
    // An entry is at most a record of `MAX_RECORD_BYTES`: it fits.
    let length = u32::try_from(entry.len()).unwrap_or(u32::MAX);
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&crc32fast::hash(&entry).to_le_bytes());
    buffer.extend_from_slice(&entry);
    HEADER + entry.len()
}

/// The frame that `bytes` begins with: its entry and its length. `None` if it is torn or damaged.
pub(super) fn read(bytes: &Bytes) -> Option<(Kind, usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, _) = rest.split_first_chunk::<4>()?;
    let end = HEADER.checked_add(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let entry = bytes.get(HEADER..end).map(|_| bytes.slice(HEADER..end))?;
    if crc32fast::hash(&entry) != u32::from_le_bytes(*crc) {
        return None;
    }
    Some((Entry::decode(entry).ok()?.kind?, end))
}

/// Visits every whole frame with its position and length; returns where the first torn or damaged one begins.
pub(super) fn scan(mut bytes: Bytes, mut visit: impl FnMut(usize, usize, Kind)) -> usize {
    let mut at = 0;
    while let Some((kind, length)) = read(&bytes) {
        visit(at, length, kind);
        at += length;
        bytes = bytes.slice(length..);
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored(offset: u64, payload: Vec<u8>) -> Stored {
        let header = Header { name: "message-id".into(), value: Bytes::from_static(b"7") };
        let (key, payload) = (Bytes::from_static(b"k"), Bytes::from(payload));
        Stored { topic: 1, partition: 2, offset, key, payload, headers: vec![header] }
    }

    fn scanned(bytes: Vec<u8>) -> (Vec<Kind>, usize) {
        let mut found = Vec::new();
        let valid = scan(Bytes::from(bytes), |_, _, kind| found.push(kind));
        (found, valid)
    }

    proptest! {
        #[test]
        fn a_tail_torn_at_any_byte_loses_no_frame_before_it(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..12),
            cut in any::<prop::sample::Index>(),
            garbage in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut buffer = Vec::new();
            let mut ends = vec![0];
            for (offset, payload) in payloads.iter().enumerate() {
                write(Kind::Record(stored(offset as u64, payload.clone())), &mut buffer);
                ends.push(buffer.len());
            }
            let cut = cut.index(buffer.len() + 1);
            let whole = ends.iter().filter(|&&end| end <= cut).count() - 1;
            buffer.truncate(cut);
            // A torn frame followed by what the disk had there before.
            buffer.extend_from_slice(&garbage);
            let (found, valid) = scanned(buffer);
            prop_assert!(found.len() >= whole);
            prop_assert!(valid >= ends[whole]);
            for (offset, payload) in payloads.iter().take(whole).enumerate() {
                prop_assert_eq!(&found[offset], &Kind::Record(stored(offset as u64, payload.clone())));
            }
        }

        #[test]
        fn a_flipped_bit_is_seen(payload in prop::collection::vec(any::<u8>(), 1..100), bit in any::<prop::sample::Index>()) {
            let mut buffer = Vec::new();
            write(Kind::Record(stored(0, payload)), &mut buffer);
            let bit = bit.index(buffer.len() * 8);
            buffer[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(scanned(buffer).0.is_empty());
        }

        #[test]
        fn no_bytes_break_the_scan(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let length = bytes.len();
            prop_assert!(scanned(bytes).1 <= length);
        }
    }
}
