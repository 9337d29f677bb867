//! What this process takes from its machine, in Prometheus's text, under the names that every client library uses.
//!
//! Not through the recorder: its counters are whole numbers, and CPU seconds are not. Network is that of the network
//! namespace: in a pod the pod's, elsewhere the machine's.

use std::fmt::Write as _;
use std::fs;

// Linux has reported both in these units on every common architecture for decades (USER_HZ, page size).
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: u64 = 4096;

/// Of `/proc/self`; what can't be read there is left out.
pub(crate) fn text() -> String {
    let mut text = String::new();
    let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    let mut say = |name: &str, kind: &str, value: Option<f64>| {
        if let Some(value) = value {
            let _ = writeln!(text, "# TYPE {name} {kind}\n{name} {value}");
        }
    };
    let (stat, io, network) = (read("stat"), read("io"), received_and_sent(&read("net/dev")));
    say("process_cpu_seconds_total", "counter", cpu_seconds(&stat));
    say("process_threads", "gauge", field(&stat, 17));
    say("process_resident_memory_bytes", "gauge", resident_bytes(&read("statm")));
    say("process_open_fds", "gauge", fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64));
    say("process_max_fds", "gauge", max_fds(&read("limits")));
    say("process_disk_read_bytes_total", "counter", named(&io, "read_bytes:"));
    say("process_disk_written_bytes_total", "counter", named(&io, "write_bytes:"));
    say("process_network_receive_bytes_total", "counter", network.map(|(received, _)| received));
    say("process_network_transmit_bytes_total", "counter", network.map(|(_, sent)| sent));
    text
}

/// A field of `stat`, counted after the command, which is in parentheses and may hold anything.
fn field(stat: &str, index: usize) -> Option<f64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(index)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 11)? + field(stat, 12)?) / TICKS_PER_SECOND)
}

fn resident_bytes(statm: &str) -> Option<f64> {
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(PAGE_BYTES) as f64)
}

fn max_fds(limits: &str) -> Option<f64> {
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

fn named(lines: &str, name: &str) -> Option<f64> {
    lines.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

/// Of all interfaces but the loopback.
fn received_and_sent(dev: &str) -> Option<(f64, f64)> {
    let interfaces =
        dev.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo");
    let columns = interfaces.map(|(_, numbers)| {
        let number = |index| numbers.split_whitespace().nth(index).and_then(|n: &str| n.parse::<f64>().ok());
        Some((number(0)?, number(8)?))
    });
    columns.flatten().reduce(|(received, sent), (r, s)| (received + r, sent + s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_and_spaces_shifts_no_field() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 100 1000 10";
        assert_eq!((cpu_seconds(stat), field(stat, 17)), (Some(3.0), Some(4.0)));
    }

    #[test]
    fn the_loopback_is_no_traffic() {
        let dev = "head\n    lo: 900 1 0 0 0 0 0 0 900 1 0 0 0 0 0 0\n  eth0: 10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n  eth1:5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0\n";
        assert_eq!(received_and_sent(dev), Some((15.0, 26.0)));
        assert_eq!(received_and_sent(""), None);
    }

    #[test]
    fn this_process_has_cpu_memory_and_files() {
        let text = text();
        for name in [
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "process_threads ",
        ] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name}in {text}");
        }
    }
}
