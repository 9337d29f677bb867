//! A run as text of at most a hundred columns: the figures, then every decision with its reason.

use super::run::{Entry, Lane, Run, counted};
use crate::words::Clock;

const COLUMNS: usize = 100;
/// What stands before a decision: the time and the workload.
const INDENT: usize = 20;

impl Run {
    /// The run for a terminal.
    pub fn table(&self) -> String {
        let mut table = String::new();
        for lane in &self.lanes {
            push_wrapped(&mut table, &format!("{:<9} ", lane.name), 10, &figures(lane));
        }
        table.push('\n');
        let mut entries: Vec<(&Lane, &Entry)> =
            self.lanes.iter().flat_map(|lane| lane.entries.iter().map(move |entry| (lane, entry))).collect();
        entries.sort_by_key(|(_, entry)| entry.at);
        for (lane, Entry { at, what }) in entries {
            let time = Clock(std::time::Duration::from_secs((*at).into()));
            let head = format!("{time}  {:<9} ", lane.name);
            push_wrapped(&mut table, &head, INDENT, &what.to_string());
        }
        table
    }
}

fn figures(lane: &Lane) -> String {
    let figures = lane.summary();
    let wait = match lane.drain_target {
        Some(_) => format!("longest wait {:.0} s; ", figures.longest_wait),
        None => String::new(),
    };
    format!(
        "{} to {} pods for a load of up to {:.1}; {}, {}; over for {} s, at most {} s at a time; \
         {wait}{} moved; {:.1} pod hours, used to {:.0} %",
        figures.fewest,
        figures.most,
        figures.peak,
        counted(figures.changes, "change"),
        counted(figures.turns, "turn"),
        figures.over_seconds,
        figures.longest_over,
        counted(figures.moves, "slot"),
        figures.pod_hours,
        100.0 * figures.utilisation
    )
}

/// One entry, its lines after the first indented.
fn push_wrapped(table: &mut String, head: &str, indent: usize, text: &str) {
    table.push_str(head);
    let mut column = head.chars().count();
    for (index, word) in text.split(' ').enumerate() {
        let width = word.chars().count();
        if index > 0 && column + 1 + width > COLUMNS {
            table.push('\n');
            table.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if index > 0 {
            table.push(' ');
            column += 1;
        }
        table.push_str(word);
        column += width;
    }
    table.push('\n');
}
