//! SQL: MySQL protocol or SQLite behind one type, migrations embedded.
//!
//! ```text
//! Db ──▶ fetch, execute            one statement on any connection
//!  ├──▶ begin, begin_reading ──▶ Tx   many on one; rolled back where it is not committed
//!  └──▶ migrate                    versioned scripts, each applied once, whoever starts first
//!  pools   MySQL: one; SQLite: one writer beside readers
//!   └─ trust   which idle connections may be used unasked
//!  value   Arg and Row: the three types that both engines and all our tables share
//! ```
//!
//! Statements are written once, in what MySQL 8, MariaDB 10.11, TiDB and SQLite share; [`Db::for_update`] is the one
//! exception. So there is no query twice, and no driver type leaves this crate. `sqlx::Any` was not used: it knows no
//! multi-statement reads and copies every row.
//!
//! # Assumptions
//! Statement text is made by code, values only ever travel as [`Arg`]s.

mod config;
mod error;
mod migrate;
mod pools;
mod statement;
mod trust;
mod tx;
mod value;

pub use config::DbConfig;
pub use error::DbError;
pub use migrate::Migration;
pub use pools::Db;
pub use statement::{pairs, placeholders, values};
pub use tx::Tx;
pub use value::{Arg, Row};
