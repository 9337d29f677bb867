//! `gochat probe`: asks a process that runs here whether it is ready, for where only a command can ask (Compose, systemd):
//! the image has no shell and no curl.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::say;

const WITHIN: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where its probes are: the port of `admin.listen`
    #[arg(long, default_value_t = 9100)]
    port: u16,
}

/// Succeeds where `/readyz` says 200; else prints what it says.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let answer = tokio::time::timeout(WITHIN, ask(address)).await.context("no answer in time")?;
    let answer = answer.with_context(|| format!("{address} can't be asked"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) == Some("200") {
        return Ok(ExitCode::SUCCESS);
    }
    say::text(body);
    Ok(ExitCode::FAILURE)
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use gochat_chassis::{Admin, Health, Shutdown, telemetry};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_process_that_waits_is_not_ready_and_one_that_is_not_there_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (health, shutdown) = (Health::new(), Shutdown::new());
        let telemetry = telemetry::init(&telemetry::TelemetryConfig::default(), "probe").unwrap();
        let serving = tokio::spawn(Admin::serve(listener, health.clone(), telemetry.metrics(), shutdown));
        let check = health.check("kafka");
        check.not_ready("away");
        assert_eq!(run(Args { port }).await.unwrap(), ExitCode::FAILURE);
        check.ready();
        assert_eq!(run(Args { port }).await.unwrap(), ExitCode::SUCCESS);
        serving.abort();
        let _ = serving.await;
        assert!(run(Args { port }).await.is_err());
    }
}
