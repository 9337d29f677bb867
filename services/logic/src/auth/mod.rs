//! Accounts: passwords, tokens, sessions.
//!
//! ```text
//! keys       who signs: rotated by file
//! tokens     access and resume (JWT), refresh (opaque)
//! passwords  argon2id, bounded
//! sessions   what makes a token revocable: cached, invalidated on logout
//! service    the gRPC face
//! ```

pub(crate) mod keys;
mod names;
mod passwords;
mod service;
mod sessions;
mod tokens;

pub(crate) use keys::KeyRing;
pub use keys::KeysError;
pub(crate) use names::check_line;
pub(crate) use passwords::Passwords;
pub(crate) use service::Auth;
pub(crate) use sessions::{Sessions, now_ms};
pub(crate) use tokens::Tokens;
