//! Tables that fit a terminal, JSON, YAML.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use clap::ValueEnum;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

/// Columns of a terminal; what is longer is cut in the last column.
const WIDTH: usize = 100;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

impl Format {
    pub(crate) fn print(self, value: &impl Serialize, table: impl FnOnce() -> String) -> anyhow::Result<()> {
        let text = match self {
            Self::Table => table(),
            Self::Json => serde_json::to_string_pretty(value)?,
            Self::Yaml => serde_saphyr::to_string(value)?,
        };
        say(text.trim_end())
    }
}

/// One line, or several.
pub(crate) fn say(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        // `| head` has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Columns, each as wide as its widest cell.
pub(crate) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: &[&'static str]) -> Self {
        Self { header: header.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header: Vec<String> = self.header.iter().map(|&cell| cell.to_owned()).collect();
        let lines = || std::iter::once(&header).chain(&self.rows);
        let width = |column: usize| {
            lines()
                .filter_map(|line| line.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        let last = self.header.len().saturating_sub(1);
        for line in lines() {
            let mut text = String::new();
            for (column, cell) in line.iter().enumerate() {
                if column < last {
                    let _ = write!(text, "{cell:<0$}  ", width(column));
                } else {
                    text.push_str(cell);
                }
            }
            writeln!(f, "{}", cut(text.trim_end(), WIDTH))?;
        }
        Ok(())
    }
}

/// At most so many characters.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// `41,200`.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12s`, `5m`, `3h`, `2d`: as kubectl writes ages.
pub(crate) fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `0-5, 9, 12-13`.
pub(crate) fn ranges(numbers: impl IntoIterator<Item = usize>) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == number => *end = number,
            _ => runs.push((number, number)),
        }
    }
    let text = |(begin, end)| if begin == end { format!("{begin}") } else { format!("{begin}-{end}") };
    runs.into_iter().map(text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_a_terminal() {
        let mut table = Table::new(&["NAME", "WHY"]);
        table.row(["a".to_owned(), "→".repeat(200)]);
        table.row(["longer".to_owned(), "b".to_owned()]);
        let text = table.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.first().copied(), Some("NAME    WHY"));
        assert_eq!(lines.last().copied(), Some("longer  b"));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn numbers_are_written_as_people_read_them() {
        assert_eq!([0.0, 999.6, 41_200.0].map(grouped), ["0", "1,000", "41,200"]);
        assert_eq!(ranges([0, 1, 2, 5, 7, 8]), "0-2, 5, 7-8");
        let at = |second| Timestamp::from_second(second).unwrap_or_default();
        assert_eq!([5, 600, 9_000, 200_000].map(|now| age(at(0), at(now))), ["5s", "10m", "2h", "2d"]);
    }
}
