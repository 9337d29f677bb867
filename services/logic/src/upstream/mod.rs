//! The upstream work: what clients ask for becomes stored messages and records for their recipients.
//!
//! ```text
//! batch (decode, pure) ─▶ worker: authorise ─▶ append ─▶ records, made durable by the pipeline
//! typing: beside it, and dropped before it delays anything
//! ```
//!
//! # Guarantees
//! - Sends of a conversation are appended in the order of the log.
//! - A record that can't be processed goes to the dead-letter topic and never stops a partition.

mod append;
mod authorise;
mod batch;
mod typing;
mod worker;

pub(crate) use typing::TypingNews;
pub(crate) use worker::Worker;
