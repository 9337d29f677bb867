//! The data service: the only one that speaks SQL. It checks what keeps data whole, not who may ask.
//!
//! ```text
//! run         binds, joins, serves until shutdown
//! service     Repo: the three gRPC services, each call a line ──▶
//!   users, sessions
//!   conversations/  create, view (as a member sees it), members
//!   messages/       append ──▶ assign (pure: who gets which seq), history, cursors, retention, stats
//! load, ops   calls in flight and how long they take, for the operator
//! store       one place for transactions: retries, latencies, what a failure is to the caller
//! check       limits of what comes in
//! schema      migrations
//! ```
//!
//! Nothing is cached here: a last seq remembered across a fail-over that lost commits would leave holes.

mod check;
mod config;
mod conversations;
mod load;
mod messages;
mod ops;
mod run;
mod schema;
mod service;
mod sessions;
mod store;
mod users;

pub use config::Config;
pub use run::{Deps, run};
pub use schema::migrate;
pub use service::Repo;
