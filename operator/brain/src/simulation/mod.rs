//! Planner and autoscaler over a recorded trace.
//!
//! ```text
//!  CSV ──▶ trace ──▶ lane (one for each workload) ──▶ Run ──▶ table · json_lines · svg
//!                     │  every second: plane        pods start and drain, slots move, work waits
//!                     └─ every report: Autoscaler, Rebalancer: the same code that runs a cluster
//! ```
//!
//! [`trace`] has the format. Deterministic: the same trace and [`Setup`] give the same [`Run`] to the byte.

mod lane;
mod plane;
mod run;
mod setup;
mod svg;
mod table;
pub mod trace;

use lane::Lane;

pub use run::{Entry, Lane as Timeline, Run, Sample, Summary, What};
pub use setup::{Demand, Setup, Workload};
pub use trace::{Event, TraceError};

/// Runs a trace. [`trace`] says how it is written.
pub fn run(csv: &str, setup: &Setup) -> Result<Run, TraceError> {
    let rows = trace::parse(csv)?;
    let mut lanes: Vec<Lane<'_>> =
        setup.workloads.iter().map(|workload| Lane::new(setup, workload)).collect();
    for (row, next) in rows.iter().zip(rows.iter().skip(1)) {
        for now in row.at..next.at {
            for lane in &mut lanes {
                lane.second(now, row, now == row.at);
            }
        }
    }
    Ok(Run { lanes: lanes.into_iter().map(Lane::finish).collect() })
}
