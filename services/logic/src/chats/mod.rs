//! Chats: who may change what (`rules`, pure), and the gRPC face (`service`).

mod rules;
mod service;

pub(crate) use service::Chats;
