//! The figures of a run, as a table for people or one line of JSON.

use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::Result;
use serde::Serialize;

use crate::connections::Shared;
use crate::ledger::Latency;
use crate::processes::Usage;

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl From<&Latency> for Spread {
    fn from(latency: &Latency) -> Self {
        let ms = |us: u64| us as f64 / 1000.0;
        Self {
            p50: ms(latency.value_at_quantile(0.5)),
            p95: ms(latency.value_at_quantile(0.95)),
            p99: ms(latency.value_at_quantile(0.99)),
            max: ms(latency.max()),
        }
    }
}

/// One run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) clean: bool,
    pub(crate) connections: usize,
    pub(crate) conversations: usize,
    pub(crate) seconds: f64,
    pub(crate) sent: u64,
    pub(crate) accepted: u64,
    pub(crate) committed: u64,
    pub(crate) delivered: u64,
    pub(crate) refused: u64,
    pub(crate) unsent: u64,
    pub(crate) duplicates: u64,
    pub(crate) resends: u64,
    pub(crate) gap_syncs: u64,
    pub(crate) gaps: u64,
    pub(crate) missing: u64,
    pub(crate) out_of_order: u64,
    pub(crate) conflicts: u64,
    pub(crate) reconnects: u64,
    pub(crate) longest_outage_ms: f64,
    pub(crate) accepted_ms: Spread,
    pub(crate) committed_ms: Spread,
    pub(crate) other_client_ms: Spread,
    pub(crate) last_member_ms: Spread,
    pub(crate) connect_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reconnect_seconds: Option<f64>,
    /// What the servers refused or closed last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) last_trouble: String,
    pub(crate) cpu_seconds: f64,
    pub(crate) cpu_ms_per_message: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) resident_bytes_per_connection: f64,
}

impl Report {
    /// Before the bench drops connections itself.
    pub(crate) fn count_outages(&mut self, shared: &Shared) {
        self.reconnects = shared.reconnects.load(Relaxed);
        self.longest_outage_ms = shared.longest_outage_us.load(Relaxed) as f64 / 1000.0;
        self.last_trouble.clone_from(&shared.last_trouble.lock());
    }

    /// Takes the figures when all is quiet.
    pub(crate) fn fill(&mut self, shared: &Shared, before: &Usage, connected: &Usage, after: &Usage) {
        let ledger = shared.ledger.lock();
        let verdict = ledger.verdict();
        self.clean = verdict.is_clean();
        self.sent = ledger.sent();
        self.accepted = ledger.accepted;
        self.committed = ledger.committed;
        self.delivered = ledger.delivered;
        self.refused = ledger.refused;
        self.unsent = ledger.unsent;
        self.gaps = verdict.gaps;
        self.missing = verdict.missing;
        self.out_of_order = verdict.out_of_order;
        self.conflicts = verdict.conflicts;
        self.accepted_ms = (&ledger.to_accepted).into();
        self.committed_ms = (&ledger.to_committed).into();
        self.other_client_ms = (&ledger.to_other).into();
        self.last_member_ms = (&ledger.to_last).into();

        let stats = *shared.stats.lock();
        self.duplicates = stats.duplicates;
        self.resends = stats.resends;
        self.gap_syncs = stats.gap_syncs;
        self.cpu_seconds = after.cpu_seconds - connected.cpu_seconds;
        self.cpu_ms_per_message = 1000.0 * self.cpu_seconds / self.sent.max(1) as f64;
        self.resident_bytes = after.resident_bytes;
        let grown = connected.resident_bytes as f64 - before.resident_bytes as f64;
        self.resident_bytes_per_connection = grown / self.connections.max(1) as f64;
    }

    /// One line.
    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        let verdict = if self.clean { "clean" } else { "NOT CLEAN" };
        // Writing to a string can't fail.
        let _ = writeln!(out, "\nledger {verdict}");
        let counts = [
            ("sent", self.sent),
            ("accepted", self.accepted),
            ("committed", self.committed),
            ("delivered to others", self.delivered),
            ("refused", self.refused),
            ("unsent (client full)", self.unsent),
            ("duplicate pushes", self.duplicates),
            ("sent again", self.resends),
            ("gap syncs", self.gap_syncs),
            ("gaps", self.gaps),
            ("missing", self.missing),
            ("out of order", self.out_of_order),
            ("conflicts", self.conflicts),
            ("reconnects", self.reconnects),
        ];
        for (name, count) in counts {
            let _ = writeln!(out, "  {name:<24}{count:>12}");
        }
        let _ = writeln!(out, "  {:<24}{:>12.1}", "longest outage, ms", self.longest_outage_ms);
        let _ =
            writeln!(out, "\n  {:<24}{:>10}{:>10}{:>10}{:>10}", "ms from due to", "p50", "p95", "p99", "max");
        let spreads = [
            ("accepted", self.accepted_ms),
            ("committed", self.committed_ms),
            ("each other client", self.other_client_ms),
            ("last member", self.last_member_ms),
        ];
        for (name, s) in spreads {
            let _ = writeln!(out, "  {name:<24}{:>10.2}{:>10.2}{:>10.2}{:>10.2}", s.p50, s.p95, s.p99, s.max);
        }
        let rate = if self.seconds > 0.0 { self.sent as f64 / self.seconds } else { 0.0 };
        let _ = writeln!(
            out,
            "\n  {} connections in {:.2} s, {} conversations, {:.1} s of load (with warm-up {rate:.0} messages/s)",
            self.connections, self.connect_seconds, self.conversations, self.seconds,
        );
        if let Some(seconds) = self.reconnect_seconds {
            let _ = writeln!(out, "  all connections back in {seconds:.2} s");
        }
        if self.resident_bytes > 0 {
            let _ = writeln!(
                out,
                "  processes: {:.2} s CPU, {:.3} ms a message, RSS {:.1} MiB, {:.1} KiB a connection",
                self.cpu_seconds,
                self.cpu_ms_per_message,
                self.resident_bytes as f64 / f64::from(1 << 20),
                self.resident_bytes_per_connection / 1024.0,
            );
        }
        out
    }
}
