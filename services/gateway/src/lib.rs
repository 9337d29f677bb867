//! The gateway: holds clients' sockets (edge) and owns shards of users (home). One process plays both roles.
//!
//! ```text
//!            ┌ http ── page, /api/v1, OpenAPI ──────────▶ logic
//! client ──▶ │
//!            └ ws ──── session ──┬─ upstream ───────────▶ log: upstream[conversation]
//!                        ▲       └─ sync, hello ────────▶ logic
//!                        │ outbox
//!                       edge ◀─────── relay ─────────── home ◀── log: downstream[shard(user)]
//!                        └──── attach, watch ─────────────▲└──▶ log: task (push)
//!
//! backlog  how far logic is behind: past the limit sends are refused        identify  whose tokens: many in a call
//! drain  empties this gateway: slots first, then sockets       ops  load and drain, for the operator
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail"))]

mod backlog;
mod clock;
mod config;
mod drain;
mod edge;
pub mod error_codes;
mod gateway;
mod home;
mod http;
mod identify;
mod logic;
mod metrics;
mod ops;
mod refusal;
mod run;
mod trace;
mod upstream;
mod ws;

pub use config::{Config, Limits};
pub use http::openapi;
pub use run::{Bound, Deps, run};
