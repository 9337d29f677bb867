//! Flags of `gochat bench`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gochat_client::Encoding;

/// Generate load and keep the ledger.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Gateways to use, in turn: `http://host:port`, `host:port` or `ws://host:port/ws`.
    #[arg(long, value_delimiter = ',', default_value = "http://127.0.0.1:8080")]
    pub target: Vec<String>,
    /// Users to have at least; by default as many as the pairs, groups and idle connections need.
    #[arg(long, default_value_t = 0)]
    pub users: usize,
    /// Direct chats, each of two users of its own.
    #[arg(long, default_value_t = 0)]
    pub pairs: usize,
    /// Groups as SIZExCOUNT, such as 1000x1; users are shared among them.
    #[arg(long, default_value = "0x0")]
    pub groups: Groups,
    /// Messages per second over all conversations, sent when due whatever the answers do.
    #[arg(long, default_value_t = 100.0)]
    pub rate: f64,
    /// How long messages are measured (or idle connections held).
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub duration: Duration,
    /// Messages sent before that count in the ledger, but not in the latencies.
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub warmup: Duration,
    /// Bytes of each text.
    #[arg(long, default_value_t = 200)]
    pub payload: usize,
    /// Connections that only stay open.
    #[arg(long, default_value_t = 0)]
    pub idle: usize,
    /// Idle connections of one user, at most what the server allows.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub devices: u16,
    /// At the end drop all connections at once and time their return.
    #[arg(long)]
    pub reconnect: bool,
    /// Keeps users and tokens between runs.
    #[arg(long)]
    pub accounts: Option<PathBuf>,
    /// Names of the users: PREFIX0, PREFIX1, …
    #[arg(long, default_value = "bench")]
    pub prefix: String,
    /// Registrations and logins at a time: each costs the server a password hash.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub parallel: u16,
    /// Use the JSON subprotocol.
    #[arg(long)]
    pub json_frames: bool,
    /// How long the end waits for what is under way.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub quiesce: Duration,
    /// Count CPU time and memory of these processes.
    #[arg(long, value_delimiter = ',')]
    pub pids: Vec<u32>,
    /// Print the result as one line of JSON.
    #[arg(long)]
    pub json: bool,
    /// Also write the JSON line to a file.
    #[arg(long)]
    pub report: Option<PathBuf>,
}

/// `SIZExCOUNT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Members of each.
    pub size: usize,
    /// How many.
    pub count: usize,
}

impl FromStr for Groups {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once('x')
            .and_then(|(size, count)| Some(Self { size: size.parse().ok()?, count: count.parse().ok()? }));
        parsed.filter(|g| g.count == 0 || g.size >= 2).ok_or_else(|| {
            format!("{text:?} is not SIZExCOUNT with at least 2 members: write 1000x1 for one group of 1,000")
        })
    }
}

/// The two addresses of one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) http: String,
    pub(crate) ws: String,
}

impl Args {
    /// Targets as URLs.
    pub(crate) fn targets(&self) -> Result<Vec<Target>> {
        ensure!(self.rate > 0.0, "--rate {}: must be above 0", self.rate);
        ensure!(
            self.pairs + self.groups.count + self.idle > 0,
            "nothing to do: give --pairs, --groups or --idle"
        );
        let targets: Vec<_> = self.target.iter().map(|t| target(t)).collect();
        ensure!(!targets.is_empty(), "--target: name at least one gateway");
        Ok(targets)
    }

    /// How many users take part.
    pub(crate) fn users_needed(&self) -> usize {
        let idle = self.idle.div_ceil(usize::from(self.devices));
        let groups = if self.groups.count == 0 { 0 } else { self.groups.size };
        self.users.max(2 * self.pairs).max(groups).max(idle)
    }

    pub(crate) fn encoding(&self) -> Encoding {
        if self.json_frames { Encoding::Json } else { Encoding::Proto }
    }
}

fn target(text: &str) -> Target {
    let text = text.trim().trim_end_matches('/').trim_end_matches("/ws");
    let (scheme, host) = text.split_once("://").unwrap_or(("http", text));
    let (http, ws) = if matches!(scheme, "https" | "wss") { ("https", "wss") } else { ("http", "ws") };
    Target { http: format!("{http}://{host}"), ws: format!("{ws}://{host}/ws") }
}

fn duration(text: &str) -> Result<Duration> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(number.len()..).unwrap_or_default();
    let scale = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => anyhow::bail!("{text:?}: write a duration as 500ms, 10s, 5m or 1h"),
    };
    let number: f64 = number.parse().with_context(|| format!("{text:?} does not begin with a number"))?;
    Duration::try_from_secs_f64(number * scale).with_context(|| format!("{text:?} is no duration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_taken_in_every_usual_form() {
        let want = Target { http: "http://a:1".into(), ws: "ws://a:1/ws".into() };
        for text in ["http://a:1", "a:1", "ws://a:1/ws", "http://a:1/"] {
            assert_eq!(target(text), want, "{text}");
        }
        assert_eq!(target("wss://chat.example").http, "https://chat.example");
    }

    #[test]
    fn durations_and_groups_are_read() {
        assert_eq!(duration("1.5m").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        assert!(duration("-1s").is_err() && duration("3 fortnights").is_err());
        assert_eq!("1000x2".parse(), Ok(Groups { size: 1000, count: 2 }));
        assert!("1x1".parse::<Groups>().is_err() && "10".parse::<Groups>().is_err());
    }
}
