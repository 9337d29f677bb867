//! A record before and after the log. Knows no backend.

use std::sync::Arc;

use bytes::Bytes;

use crate::MqError;

/// The most that key, payload and headers of one record may take together. A broker's default limit of a batch is
/// 1 MiB with its framing; this leaves room for it.
pub const MAX_RECORD_BYTES: usize = 1_000_000;

/// A record to be written.
#[derive(Clone, Debug)]
pub struct Record {
    /// Full name of the topic.
    pub topic: Arc<str>,
    /// Chosen by the caller: placement of work is ours, not the partitioner's.
    pub partition: u32,
    /// The conversation or user id; for people and tools.
    pub key: Bytes,
    /// With key and headers at most [`MAX_RECORD_BYTES`].
    pub payload: Bytes,
    /// Few and small: `message-id`, `traceparent`.
    pub headers: Vec<(&'static str, Bytes)>,
}

impl Record {
    /// Key, payload and headers in bytes.
    pub(crate) fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.len() + self.payload.len() + headers
    }

    /// Its size, if a log takes a record so large.
    pub(crate) fn checked_size(&self) -> Result<usize, MqError> {
        let bytes = self.size();
        if bytes > MAX_RECORD_BYTES {
            return Err(MqError::TooLarge { bytes, max: MAX_RECORD_BYTES });
        }
        Ok(bytes)
    }
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumed {
    /// Where it stands.
    pub partition: u32,
    /// Its place in the partition; a commit names the next one.
    pub offset: u64,
    /// As it was written.
    pub key: Bytes,
    /// As it was written.
    pub payload: Bytes,
    /// As they were written, in that order.
    pub headers: Vec<(String, Bytes)>,
}

impl Consumed {
    /// A copy with all parts in one allocation of its own, so that a record which is kept holds no larger buffer
    /// (a fetch, a socket's read buffer) alive.
    pub(crate) fn compact<'a>(
        partition: u32,
        offset: u64,
        key: &[u8],
        payload: &[u8],
        headers: impl Iterator<Item = (&'a str, &'a [u8])> + Clone,
    ) -> Self {
        let extra: usize = headers.clone().map(|(_, value)| value.len()).sum();
        let mut buffer = Vec::with_capacity(key.len() + payload.len() + extra);
        buffer.extend_from_slice(key);
        buffer.extend_from_slice(payload);
        headers.clone().for_each(|(_, value)| buffer.extend_from_slice(value));
        let mut rest = Bytes::from(buffer);
        let key = rest.split_to(key.len());
        let payload = rest.split_to(payload.len());
        let headers = headers.map(|(name, value)| (name.to_owned(), rest.split_to(value.len()))).collect();
        Self { partition, offset, key, payload, headers }
    }

    /// Roughly what it takes in memory.
    pub(crate) fn weight(&self) -> u64 {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        (self.key.len() + self.payload.len() + headers + size_of::<Self>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compact_copy_has_every_part() {
        let headers = [("message-id", b"7".as_slice()), ("empty", b"".as_slice())];
        let copy = Consumed::compact(3, 9, b"key", b"payload", headers.iter().copied());
        assert_eq!((copy.partition, copy.offset), (3, 9));
        assert_eq!((copy.key.as_ref(), copy.payload.as_ref()), (b"key".as_slice(), b"payload".as_slice()));
        let read: Vec<_> = copy.headers.iter().map(|(n, v)| (n.as_str(), v.as_ref())).collect();
        assert_eq!(read, headers);
    }

    #[test]
    fn headers_count_towards_the_limit() {
        let mut record = Record {
            topic: "t".into(),
            partition: 0,
            key: Bytes::new(),
            payload: Bytes::from(vec![0; MAX_RECORD_BYTES]),
            headers: Vec::new(),
        };
        assert_eq!(record.checked_size().unwrap(), MAX_RECORD_BYTES);
        record.headers.push(("h", Bytes::new()));
        assert!(matches!(record.checked_size(), Err(MqError::TooLarge { .. })));
    }
}
