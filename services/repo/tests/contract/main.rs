//! What the data service promises, on SQLite in memory, on a SQLite file and on MariaDB.
//!
//! Each promise is an async function over a [`Harness`]; `promises!` makes a test of it for each engine.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unused_async,
    clippy::used_underscore_binding,
    clippy::items_after_statements,
    clippy::large_futures,
    reason = "helpers of tests fail the test"
)]

mod appending;
mod conversations;
mod harness;
mod reading;
mod sessions;

/// One test for each engine and promise.
macro_rules! promises {
    ($($promise:ident),* $(,)?) => {
        mod sqlite_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::harness::Harness::memory().await).await;
            })*
        }
        mod sqlite_file {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::harness::Harness::file().await).await;
            })*
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let name = concat!(module_path!(), "::", stringify!($promise));
                if let Some(harness) = crate::harness::Harness::mariadb(name).await {
                    super::$promise(harness).await;
                }
            })*
        }
    };
}
pub(crate) use promises;
