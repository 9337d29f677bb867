//! `gochat bench`: the load generator and the ledger.
//!
//! ```text
//! args          what to do
//! accounts      users: registered once, reused after
//! conversations direct chats and groups among them
//! connections   one task per connection around the client's own protocol core
//! load          the open loop: messages go when they are due, whatever the answers do
//! ledger        pure: what was sent, accepted, committed and delivered, and whether that adds up
//! processes     CPU time and memory of the servers, from /proc
//! report        the figures, as a table or one JSON line
//! ```
//!
//! Exit code 1: an accepted message is missing at a recipient, came out of order, or seqs have a hole.

mod accounts;
mod args;
mod connections;
mod conversations;
mod ledger;
mod load;
mod processes;
mod report;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use gochat_client::Api;

pub use args::Args;

use crate::connections::{Connections, Shared};
use crate::ledger::Ledger;
use crate::processes::Usage;
use crate::report::Report;

/// Runs the whole bench; prints progress to stderr and the result to stdout. Ctrl-C ends the load sooner: what was sent
/// until then is waited for and counted.
pub async fn run(args: Args) -> Result<ExitCode> {
    let interrupted = async {
        // Where signals can't be had, the time ends the load.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    run_until(args, interrupted).await
}

/// [`run`] with something else that ends the load, instead of Ctrl-C.
pub async fn run_until(args: Args, ended: impl Future<Output = ()>) -> Result<ExitCode> {
    let targets = args.targets()?;
    let api = Api::new(targets.first().map_or("", |t| t.http.as_str()))?;
    let accounts = accounts::prepare(&args, &targets).await.context("preparing accounts")?;
    let talks = conversations::prepare(&args, &api, &accounts).await.context("preparing conversations")?;

    let before_connections = Usage::of(&args.pids);
    let shared = Arc::new(Shared::new(Ledger::new(&talks)));
    let mut connections = Connections::open(&args, &targets, &accounts, &talks, &shared).await?;
    let with_connections = Usage::of(&args.pids);

    let mut report = Report {
        connections: connections.len(),
        conversations: talks.len(),
        connect_seconds: connections.opened_in.as_secs_f64(),
        ..Report::default()
    };
    if talks.is_empty() {
        load::hold(&args, &shared, ended).await;
    } else {
        report.seconds = load::run(&args, &talks, &connections, &shared, ended).await.as_secs_f64();
        connections.settle(&args).await;
    }
    let after_load = Usage::of(&args.pids);
    report.count_outages(&shared);
    if args.reconnect {
        report.reconnect_seconds =
            Some(connections.reconnect_all(&shared, Duration::from_mins(2)).await?.as_secs_f64());
        connections.settle(&args).await;
    }
    connections.close().await;

    report.fill(&shared, &before_connections, &with_connections, &after_load);
    if let Some(path) = &args.report {
        std::fs::write(path, report.json()?).with_context(|| format!("writing {}", path.display()))?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", report.json()?)?;
    } else {
        write!(out, "{}", report.table())?;
    }
    Ok(if report.clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
