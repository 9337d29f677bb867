//! Direct chats and groups, and who is in them.

pub(crate) mod create;
pub(crate) mod head;
pub(crate) mod members;
pub(crate) mod view;
