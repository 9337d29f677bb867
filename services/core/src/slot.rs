//! Slots: one Kafka partition and the work behind it.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::{ConversationId, UserId};

/// The unit of placement: a gateway shard, or a partition of upstream or task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot(pub u32);

impl Slot {
    /// As an index into a map of all slots.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// How many slots a workload has: 1 to 4,096.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct SlotCount(u32);

/// A slot count outside 1 to 4,096.
#[derive(Debug, thiserror::Error)]
#[error("{0} slots: must be 1 to {max}", max = SlotCount::MAX)]
pub struct SlotCountError(u32);

impl SlotCount {
    /// The most slots of one workload; a placement of that size fits well under etcd's 1.5 MiB.
    pub const MAX: u32 = 4096;

    /// Checks the range.
    pub const fn new(count: u32) -> Result<Self, SlotCountError> {
        if count >= 1 && count <= Self::MAX { Ok(Self(count)) } else { Err(SlotCountError(count)) }
    }

    /// The number of slots.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// All slots, in order.
    pub fn slots(self) -> impl Iterator<Item = Slot> {
        (0..self.0).map(Slot)
    }

    /// The user's shard: `xxh3(user_id as 8 bytes, big endian) mod S`.
    pub fn of_user(self, user: UserId) -> Slot {
        self.of_key(user.get())
    }

    /// The partition of a conversation in `upstream` and `task`.
    pub fn of_conversation(self, conversation: ConversationId) -> Slot {
        self.of_key(conversation.get())
    }

    #[allow(clippy::cast_possible_truncation, reason = "the remainder is below 4,096")]
    fn of_key(self, id: u64) -> Slot {
        Slot((xxh3_64(&id.to_be_bytes()) % u64::from(self.0)) as u32)
    }
}

impl TryFrom<u32> for SlotCount {
    type Error = SlotCountError;

    fn try_from(count: u32) -> Result<Self, SlotCountError> {
        Self::new(count)
    }
}

impl From<SlotCount> for u32 {
    fn from(count: SlotCount) -> Self {
        count.0
    }
}
