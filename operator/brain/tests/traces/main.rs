//! Six loads, each with bounds on how nervous and how late the decisions may be, and the pictures of them in
//! `docs/simulation`. `UPDATE=1 cargo test -p gochat-brain --test traces` writes traces and pictures anew.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod generate;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use gochat_brain::simulation::{Run, Setup, Summary, run};
use proptest::prelude::*;

/// A trace, and the most that is allowed in it; gateway, then logic.
struct Promise {
    trace: &'static str,
    /// Flapping: changes that take back the one before.
    turns: [usize; 2],
    /// Lag: seconds with more load than the members should carry, or with a longer wait than there should be.
    over_seconds: [usize; 2],
    /// Waste: members asked for.
    most: [u32; 2],
}

/// What was reached, and a little room for a planner that deals slots differently.
const PROMISES: [Promise; 6] = [
    Promise { trace: "step", turns: [1, 1], over_seconds: [30, 60], most: [6, 6] },
    Promise { trace: "spike", turns: [1, 1], over_seconds: [10, 150], most: [4, 10] },
    Promise { trace: "sine", turns: [3, 3], over_seconds: [10, 10], most: [6, 6] },
    Promise { trace: "noise", turns: [0, 0], over_seconds: [60, 10], most: [4, 3] },
    Promise { trace: "outage", turns: [1, 1], over_seconds: [30, 180], most: [5, 4] },
    Promise { trace: "leak", turns: [1, 0], over_seconds: [0, 0], most: [7, 2] },
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn docs() -> PathBuf {
    root().join("../../docs/simulation")
}

fn simulate(trace: &str) -> Run {
    let (_, csv) = generate::all().into_iter().find(|(name, _)| *name == trace).unwrap();
    run(&csv, &Setup::default()).unwrap()
}

fn summaries(run: &Run) -> [Summary; 2] {
    [run.lanes[0].summary(), run.lanes[1].summary()]
}

/// The file is what the code makes; with `UPDATE` it becomes that.
fn same(path: &Path, made: &str) {
    if env::var_os("UPDATE").is_some() {
        fs::write(path, made).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == made,
        "{} is stale: run UPDATE=1 cargo test -p gochat-brain --test traces",
        path.display()
    );
}

#[test]
fn traces_are_what_their_formulas_say() {
    for (name, csv) in generate::all() {
        same(&root().join(format!("traces/{name}.csv")), &csv);
    }
}

#[test]
fn no_trace_makes_it_nervous_late_or_wasteful() {
    let mut broken = Vec::new();
    for promise in &PROMISES {
        for (lane, seen) in summaries(&simulate(promise.trace)).iter().enumerate() {
            if seen.turns > promise.turns[lane]
                || seen.over_seconds > promise.over_seconds[lane]
                || seen.most > promise.most[lane]
            {
                broken.push(format!("{} {lane}: {seen:?}", promise.trace));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn an_outage_of_metrics_takes_nothing_away() {
    let run = simulate("outage");
    for lane in &run.lanes {
        let during = lane.samples.iter().filter(|s| (generate::OUT..generate::BACK).contains(&s.at));
        let desired: Vec<u32> = during.map(|s| s.desired).collect();
        assert!(desired.windows(2).all(|pair| pair[0] <= pair[1]), "{}: {desired:?}", lane.name);
    }
}

#[test]
fn pictures_and_figures_in_the_docs_are_those_of_the_code() {
    let mut table = String::from(
        "| trace | workload | pods | changes | turns | seconds over | longest wait | slots moved | pod hours | used to |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for Promise { trace, .. } in &PROMISES {
        let run = simulate(trace);
        same(&docs().join(format!("{trace}.svg")), &run.svg());
        for lane in &run.lanes {
            let f = lane.summary();
            let wait = lane.drain_target.map_or("–".to_owned(), |_| format!("{:.0} s", f.longest_wait));
            let _ = writeln!(
                table,
                "| {trace} | {} | {} to {} | {} | {} | {} | {wait} | {} | {:.1} | {:.0} % |",
                lane.name,
                f.fewest,
                f.most,
                f.changes,
                f.turns,
                f.over_seconds,
                f.moves,
                f.pod_hours,
                100.0 * f.utilisation
            );
        }
    }
    let path = docs().join("README.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once("<!-- figures -->\n").unwrap();
    let (_, tail) = rest.split_once("<!-- end of figures -->").unwrap();
    same(&path, &format!("{head}<!-- figures -->\n{table}<!-- end of figures -->{tail}"));
}

#[test]
fn the_reasons_of_a_run_name_the_numbers() {
    let table = simulate("step").table();
    let words: Vec<&str> = table.split_whitespace().collect();
    let text = words.join(" ");
    assert!(text.contains("gateway 3 → 5: 70,000 connections / 20,000 per pod × 1.2 headroom"), "{table}");
    assert!(text.contains("slots move off a draining member: hottest at"), "{table}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn every_trace_runs_to_its_end_within_the_bounds(
        rows in proptest::collection::vec(
            (1_u32..200, 0.0..500_000.0, 0.0..60_000.0, 0.0..2.0, 0_usize..20), 2..8,
        ),
    ) {
        const EVENTS: [&str; 7] = [
            "metrics_out", "metrics_back", "dependency_out", "dependency_back", "rollout", "rollout_done", "member_lost",
        ];
        let mut csv = "t_seconds,connections,messages_per_second,skew,events\n".to_owned();
        let mut at = 0;
        for (seconds, connections, messages, skew, event) in &rows {
            let event = EVENTS.get(*event).copied().unwrap_or_default();
            let _ = writeln!(csv, "{at},{connections:.0},{messages:.0},{skew:.2},{event}");
            at += seconds;
        }
        let _ = writeln!(csv, "{at},,,,");
        let setup = Setup::default();
        let run = run(&csv, &setup).unwrap();
        for (lane, workload) in run.lanes.iter().zip(&setup.workloads) {
            let (min, max) = (workload.autoscaling.min, workload.autoscaling.max);
            prop_assert_eq!(lane.samples.len(), usize::try_from(at).unwrap());
            prop_assert!(lane.samples.iter().all(|s| (min..=max).contains(&s.desired)));
            prop_assert!(lane.samples.iter().all(|s| s.load.is_finite() && s.wait.is_finite() && s.imbalance.is_finite()));
        }
        prop_assert!(!run.svg().contains("NaN"));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-z_,;0-9\\.\\-\n# ]{0,200}", header: bool) {
        let head = if header { "t_seconds,connections,messages_per_second,skew,events\n" } else { "" };
        drop(run(&format!("{head}{text}"), &Setup { workloads: Vec::new(), ..Setup::default() }));
    }
}

#[test]
fn the_same_trace_gives_the_same_run() {
    assert_eq!(simulate("noise"), simulate("noise"));
}

#[test]
fn a_table_fits_a_terminal() {
    for Promise { trace, .. } in &PROMISES {
        let table = simulate(trace).table();
        let widest = table.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 100, "{trace}: {widest}\n{table}");
    }
}

#[test]
fn each_json_line_has_its_numbers_and_its_sentence() {
    let run = simulate("spike");
    let lines = run.json_lines();
    assert!(lines.lines().count() > 3);
    for line in lines.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["t", "workload", "kind", "text"] {
            assert!(!entry[key].is_null(), "{key} in {line}");
        }
    }
    let scale = lines.lines().find(|line| line.contains("\"kind\":\"scale\"")).unwrap();
    assert!(scale.contains("\"decision\":{"), "{scale}");
}
