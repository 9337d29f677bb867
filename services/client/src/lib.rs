//! The client library: connect, resume, reconnect, dedupe and gap-fill, as `docs/protocol.md` says and no more.
//!
//! ```text
//! Client ◀─commands─▶ task: Driver ──▶ protocol::Session   pure: events in, actions out, the clock a parameter
//!   │                        └───────▶ Socket              one WebSocket, either subprotocol
//!   └─ Events (bounded)
//! Api ──HTTP──▶ /api/v1                                    accounts, conversations, history
//! ```
//!
//! [`Client`] is for applications: one task per client, bounded channels. [`Driver`] is the same without the task and
//! the channels, for programs that hold thousands of connections.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use gochat_client::{Api, Client, ClientConfig, Event};
//!
//! let api = Api::new("http://127.0.0.1:8080")?;
//! let me = api.login("ada", "correct horse battery", "my bot").await?;
//! let (client, mut events) = Client::connect(ClientConfig::new(["ws://127.0.0.1:8080/ws"], me.access_token));
//! let peer = api.user_named("grace").await?;
//! let chat = api.create_direct(peer.user_id).await?;
//! client.send(chat.conversation_id, "hello").await?.committed().await?;
//! while let Some(event) = events.next().await {
//!     if let Event::Message(message) = event {
//!         // Every message of every conversation once, in order.
//!         let _ = (message.seq, message.text);
//!     }
//! }
//! # Ok(()) }
//! ```

mod api;
mod client;
mod codec;
mod driver;
pub mod protocol;
mod socket;

pub use api::{Account, Api, ApiError, ConversationPage, MemberPage, MessagePage};
pub use client::{Client, ClientConfig, Closed, Events, SendError, Sent};
pub use codec::{CodecError, Encoding};
pub use driver::Driver;
pub use gochat_proto::client::{Committed, Error as ServerError};
pub use gochat_proto::types::{Conversation, Member, Message, Role, User};
pub use protocol::{Event, History, Session, Settings};
pub use socket::{Socket, SocketError};
