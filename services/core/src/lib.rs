//! The words of GoChat as types, without I/O and without a clock.
//!
//! ```text
//! ids        UserId, ConversationId, MessageId, SessionId, Seq
//! slot       Slot, ShardCount: which slot a user or a conversation belongs to
//! recipients whom an event concerns, by shard
//! placement  Placement: the versioned map slot → member; who owns a slot when members come and go
//! topics     the names and sizes of the log's topics
//! ```

mod ids;
mod placement;
mod recipients;
mod slot;
mod topics;

pub use ids::{ConversationId, MessageId, Seq, SessionId, UserId};
pub use placement::{Epoch, MemberId, Placement, PlacementError, Workload, effective_owners};
pub use recipients::Recipients;
pub use slot::{Slot, SlotCount, SlotCountError};
pub use topics::{Slots, Topics};

/// The longest text of a message, in bytes of UTF-8: what the database takes. A gateway may allow less.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;
