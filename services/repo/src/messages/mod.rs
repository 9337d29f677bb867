//! Messages: how they are stored, read, marked as read, counted and forgotten.

pub(crate) mod append;
mod assign;
pub(crate) mod cursors;
pub(crate) mod history;
pub(crate) mod retention;
pub(crate) mod stats;
