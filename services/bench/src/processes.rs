//! CPU time and memory of other processes, from `/proc`.

use std::fs;

/// `USER_HZ`: 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Of several processes together. A process that is gone counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
}

impl Usage {
    pub(crate) fn of(pids: &[u32]) -> Self {
        let mut usage = Self::default();
        for pid in pids {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            usage.cpu_seconds += cpu_ticks(&stat).unwrap_or(0) as f64 / TICKS_PER_SECOND;
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            usage.resident_bytes += resident_bytes(&status).unwrap_or(0);
        }
        usage
    }
}

/// utime + stime: fields 14 and 15, counted after the command, which may hold spaces (proc_pid_stat(5)).
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_spaces_and_brackets_moves_no_field() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 17 5 0 0 20 0 8 0 100 1 2 3";
        assert_eq!(cpu_ticks(stat), Some(22));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(Usage::of(&[std::process::id()]).resident_bytes > 100_000);
    }
}
