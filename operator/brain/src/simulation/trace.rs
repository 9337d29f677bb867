//! The load over time, as a table that a spreadsheet or a query can write.
//!
//! ```csv
//! # Comments and empty lines are skipped.
//! t_seconds,connections,messages_per_second,skew,events
//! 0,40000,3000,0.4,
//! 300,100000,9000,,
//! 900,,,,metrics_out
//! 1500,,,,metrics_back;member_lost
//! 1800,,,,
//! ```
//!
//! | column | what |
//! | --- | --- |
//! | `t_seconds` | whole seconds since the beginning, rising; the last row is the end |
//! | `connections` | open connections of all clients |
//! | `messages_per_second` | sent by all clients |
//! | `skew` | how unequal slots are, as the exponent of Zipf's law: 0 all equal (the default), 1 the first has twice the second's load; at most 4 |
//! | `events` | what happens then, separated by `;`: [`Event`] |
//!
//! Values hold until the next row; an empty cell keeps the former value. `skew` and `events` may be left out, and the columns
//! may come in any order.

use serde::Serialize;

/// The longest trace: a week.
const LONGEST: u32 = 7 * 24 * 3_600;
/// More than any system; keeps sums finite.
const LARGEST: f64 = 1e12;
const COLUMNS: [&str; 5] = ["t_seconds", "connections", "messages_per_second", "skew", "events"];

/// What happens besides load, to every workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Load reports stop.
    MetricsOut,
    /// They are back.
    MetricsBack,
    /// What the members need (a database) is away: nothing is worked off.
    DependencyOut,
    /// It is back.
    DependencyBack,
    /// Pods begin to be replaced.
    Rollout,
    /// All are.
    RolloutDone,
    /// One member of each workload dies, and is replaced.
    MemberLost,
}

impl Event {
    const ALL: [(&'static str, Self); 7] = [
        ("metrics_out", Self::MetricsOut),
        ("metrics_back", Self::MetricsBack),
        ("dependency_out", Self::DependencyOut),
        ("dependency_back", Self::DependencyBack),
        ("rollout", Self::Rollout),
        ("rollout_done", Self::RolloutDone),
        ("member_lost", Self::MemberLost),
    ];

    /// As people read it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::MetricsOut => "metrics out",
            Self::MetricsBack => "metrics back",
            Self::DependencyOut => "dependency out",
            Self::DependencyBack => "dependency back",
            Self::Rollout => "rollout",
            Self::RolloutDone => "rollout done",
            Self::MemberLost => "member lost",
        }
    }
}

/// From `at` on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) at: u32,
    pub(super) connections: f64,
    pub(super) messages: f64,
    pub(super) skew: f64,
    pub(super) events: Vec<Event>,
}

/// Why a trace can't be read, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum TraceError {
    #[error(
        "the trace is empty: begin with the line `t_seconds,connections,messages_per_second,skew,events`"
    )]
    Empty,
    #[error("line {line}: there is no column `{column}`: columns are {}", COLUMNS.join(", "))]
    UnknownColumn { line: usize, column: String },
    #[error("line {line}: the column `{column}` is there twice: remove one")]
    DoubleColumn { line: usize, column: String },
    #[error("line {line}: the column `{column}` is missing: add it to the header")]
    MissingColumn { line: usize, column: &'static str },
    #[error("line {line}: {found} cells under {expected} columns: write a comma for each empty cell")]
    Cells { line: usize, found: usize, expected: usize },
    #[error("line {line}, column {column}: `{value}` is not a number: write {expected}")]
    Number { line: usize, column: &'static str, value: String, expected: &'static str },
    #[error("line {line}, column {column}: empty in the first row: write what it is at the beginning")]
    Unset { line: usize, column: &'static str },
    #[error("line {line}, column t_seconds: {at} is not after {before}: put the rows in the order of time")]
    Order { line: usize, at: u32, before: u32 },
    #[error("line {line}, column t_seconds: {at} is not 0: the first row is the beginning")]
    Beginning { line: usize, at: u32 },
    #[error("line {line}, column t_seconds: {at} is more than a week ({LONGEST}): split the trace")]
    TooLong { line: usize, at: u32 },
    #[error("line {line}, column events: `{event}` is no event: events are {}, separated by `;`", names())]
    Event { line: usize, event: String },
    #[error("line {line}: the trace ends where it begins: add a row with the time of its end")]
    OneRow { line: usize },
}

fn names() -> String {
    Event::ALL.map(|(name, _)| name).join(", ")
}

/// Reads a whole trace; at least two rows.
pub(super) fn parse(csv: &str) -> Result<Vec<Row>, TraceError> {
    let mut lines = csv
        .trim_start_matches('\u{feff}')
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let (line, header) = lines.next().ok_or(TraceError::Empty)?;
    let columns = columns(line, header)?;
    let mut rows: Vec<Row> = Vec::new();
    let mut last = line;
    for (line, text) in lines {
        let row = row(line, text, &columns, rows.last())?;
        rows.push(row);
        last = line;
    }
    match rows.len() {
        0 => Err(TraceError::Empty),
        1 => Err(TraceError::OneRow { line: last }),
        _ => Ok(rows),
    }
}

/// The header's columns, in its order.
fn columns(line: usize, header: &str) -> Result<Vec<&'static str>, TraceError> {
    let mut columns = Vec::new();
    for cell in header.split(',').map(str::trim) {
        let Some(column) = COLUMNS.into_iter().find(|column| *column == cell) else {
            return Err(TraceError::UnknownColumn { line, column: cell.into() });
        };
        if columns.contains(&column) {
            return Err(TraceError::DoubleColumn { line, column: cell.into() });
        }
        columns.push(column);
    }
    let [time, connections, messages, ..] = COLUMNS;
    match [time, connections, messages].into_iter().find(|column| !columns.contains(column)) {
        Some(column) => Err(TraceError::MissingColumn { line, column }),
        None => Ok(columns),
    }
}

fn row(line: usize, text: &str, columns: &[&'static str], before: Option<&Row>) -> Result<Row, TraceError> {
    let cells: Vec<&str> = text.split(',').map(str::trim).collect();
    if cells.len() != columns.len() {
        return Err(TraceError::Cells { line, found: cells.len(), expected: columns.len() });
    }
    let mut at = None;
    let mut connections = before.map(|row| row.connections);
    let mut messages = before.map(|row| row.messages);
    let mut skew = before.map(|row| row.skew);
    let mut events = Vec::new();
    for (&column, &cell) in columns.iter().zip(&cells) {
        let number = |most: f64, expected: &'static str| match cell.parse::<f64>() {
            Ok(value) if (0.0..=most).contains(&value) => Ok(Some(value)),
            _ => Err(TraceError::Number { line, column, value: cell.into(), expected }),
        };
        match column {
            "t_seconds" => at = Some(time(line, cell, before)?),
            "events" => events = self::events(line, cell)?,
            _ if cell.is_empty() => {}
            "connections" => connections = number(LARGEST, "a number of connections, such as 40000")?,
            "messages_per_second" => messages = number(LARGEST, "messages a second, such as 3000")?,
            _ => skew = number(4.0, "an exponent from 0 to 4, such as 0.4")?,
        }
    }
    Ok(Row {
        at: at.ok_or(TraceError::Unset { line, column: "t_seconds" })?,
        connections: connections.ok_or(TraceError::Unset { line, column: "connections" })?,
        messages: messages.ok_or(TraceError::Unset { line, column: "messages_per_second" })?,
        skew: skew.unwrap_or(0.0),
        events,
    })
}

fn time(line: usize, cell: &str, before: Option<&Row>) -> Result<u32, TraceError> {
    let Ok(at) = cell.parse::<u32>() else {
        let expected = "whole seconds since the beginning, such as 300";
        return Err(TraceError::Number { line, column: "t_seconds", value: cell.into(), expected });
    };
    match before {
        None if at > 0 => Err(TraceError::Beginning { line, at }),
        Some(before) if at <= before.at => Err(TraceError::Order { line, at, before: before.at }),
        _ if at > LONGEST => Err(TraceError::TooLong { line, at }),
        _ => Ok(at),
    }
}

fn events(line: usize, cell: &str) -> Result<Vec<Event>, TraceError> {
    cell.split(';')
        .map(str::trim)
        .filter(|event| !event.is_empty())
        .map(|event| {
            let known = Event::ALL.into_iter().find(|(name, _)| *name == event);
            known.map(|(_, event)| event).ok_or_else(|| TraceError::Event { line, event: event.into() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(csv: &str) -> String {
        parse(csv).unwrap_err().to_string()
    }

    #[test]
    fn cells_left_empty_keep_their_value() {
        let rows = parse(
            "# load\nconnections,t_seconds,messages_per_second,events\n10,0,5,\n\n,60,,metrics_out; member_lost\n",
        )
        .unwrap();
        assert_eq!(rows[1].connections.total_cmp(&10.0), std::cmp::Ordering::Equal);
        assert_eq!(
            (rows[1].at, rows[1].events.as_slice()),
            (60, &[Event::MetricsOut, Event::MemberLost][..])
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_line_column_and_fix() {
        const HEADER: &str = "t_seconds,connections,messages_per_second,skew,events\n";
        let cases = [
            ("", "the trace is empty: begin with"),
            ("t_seconds,conns", "line 1: there is no column `conns`: columns are t_seconds, connections"),
            ("t_seconds,t_seconds", "line 1: the column `t_seconds` is there twice"),
            ("t_seconds,connections", "line 1: the column `messages_per_second` is missing"),
        ];
        for (csv, message) in cases {
            assert!(refused(csv).starts_with(message), "{}", refused(csv));
        }
        let cases = [
            ("0,1,1", "line 2: 3 cells under 5 columns"),
            (
                "0,many,1,,",
                "line 2, column connections: `many` is not a number: write a number of connections",
            ),
            ("0,-1,1,,", "line 2, column connections: `-1` is not a number"),
            ("0,NaN,1,,", "line 2, column connections: `NaN` is not a number"),
            ("0,1,1,9,", "line 2, column skew: `9` is not a number: write an exponent from 0 to 4"),
            ("0.5,1,1,,", "line 2, column t_seconds: `0.5` is not a number: write whole seconds"),
            ("5,1,1,,", "line 2, column t_seconds: 5 is not 0"),
            ("0,,1,,", "line 2, column connections: empty in the first row"),
            ("0,1,1,,\n60,1,1,,\n60,1,1,,", "line 4, column t_seconds: 60 is not after 60"),
            ("0,1,1,,\n99999999,1,1,,", "line 3, column t_seconds: 99999999 is more than a week"),
            (
                "0,1,1,,flood",
                "line 2, column events: `flood` is no event: events are metrics_out, metrics_back",
            ),
            ("0,1,1,,", "line 2: the trace ends where it begins"),
        ];
        for (rows, message) in cases {
            let error = refused(&format!("{HEADER}{rows}\n"));
            assert!(error.starts_with(message), "{error}");
        }
    }
}
