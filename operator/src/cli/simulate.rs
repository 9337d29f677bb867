//! `gochat-operator simulate`: what would be decided under a recorded load.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use gochat_brain::simulation::{self, Setup};

pub(super) const HELP: &str = "\
Try it:
  gochat-operator simulate --trace load.csv
  gochat-operator simulate --trace load.csv --svg load.svg --json decisions.jsonl

A trace is a CSV, whose values hold until the next row:
  t_seconds,connections,messages_per_second,skew,events
  0,40000,3000,0.4,
  300,100000,9000,,
  900,,,,metrics_out
  1500,,,,metrics_back;member_lost
  1800,,,,

  skew    how unequal slots are (Zipf): 0 all equal, 1 the first has twice the second's load
  events  metrics_out, metrics_back, dependency_out, dependency_back, rollout, rollout_done, member_lost

A gateway and a logic of default size and policy are simulated, by the code that runs a cluster. Time is the trace's own.";

/// What to simulate.
#[derive(clap::Args)]
pub(super) struct Args {
    /// File with the load over time; - reads standard input
    #[arg(short, long, value_name = "FILE")]
    trace: PathBuf,
    /// Write every decision with its reason there, one JSON object a line
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw it there: load, capacity, members, moves, decisions
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let trace = super::read(&args.trace)?;
    let run = simulation::run(&trace, &Setup::default()).with_context(|| args.trace.display().to_string())?;
    if let Some(file) = &args.json {
        write(file, &run.json_lines())?;
    }
    if let Some(file) = &args.svg {
        write(file, &run.svg())?;
    }
    super::print(&run.table())
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| file.display().to_string())
}
