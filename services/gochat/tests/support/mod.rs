//! The binary as a process of its own.
#![allow(unreachable_pub, dead_code, reason = "each test is a crate")]
#![allow(clippy::print_stdout, reason = "shown where a test fails")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub const BINARY: &str = env!("CARGO_BIN_EXE_gochat");

/// `gochat dev` on free ports; killed with the test.
pub struct Dev {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Dev {
    pub fn start(more: &[&str]) -> Self {
        let mut child = Command::new(BINARY)
            .args(["dev", "--port", "0", "--set", "admin.listen=127.0.0.1:0"])
            .args(more)
            // Spans leave soon after they end, not five seconds later.
            .env("OTEL_BSP_SCHEDULE_DELAY", "100")
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads on until a line has `mark`.
    pub fn line_with(&mut self, mark: &str) -> String {
        let mut lines = self.lines.by_ref().map(Result::unwrap).inspect(|line| println!("{line}"));
        let line = lines.find(|line| line.contains(mark));
        line.unwrap_or_else(|| panic!("it ended without telling its {mark}"))
    }

    /// Reads on until a line has `mark`; the first address in it.
    pub fn address_after(&mut self, mark: &str) -> String {
        let line = self.line_with(mark);
        line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned()
    }

    /// SIGINT, as Ctrl-C sends it; the exit code and how long that took.
    pub fn interrupt(mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let code = self.child.wait().unwrap().code();
        (code, began.elapsed())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
