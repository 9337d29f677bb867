//! Asks an engine something in its own protocol: it is up when it answers, not when it listens.

use std::io;
use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

/// A question that only an engine that is up answers well.
#[derive(Debug)]
pub(crate) enum Probe {
    /// These bytes, and what their answer holds.
    Bytes { request: &'static [u8], expected: &'static [u8] },
    /// Programs and their arguments, which all have to end well.
    Programs(Vec<(String, Vec<String>)>),
}

impl Probe {
    /// Whether it was answered well.
    pub(crate) async fn answered(&self, port: u16) -> bool {
        match self {
            Self::Bytes { request, expected } => exchange(port, request, expected).await.unwrap_or(false),
            Self::Programs(programs) => {
                // A program costs more than a look whether anybody listens.
                if TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                    return false;
                }
                for (program, arguments) in programs {
                    if !ends_well(program, arguments).await {
                        return false;
                    }
                }
                true
            }
        }
    }
}

/// Sends the request and reads until the answer holds `expected`, or the peer closes.
async fn exchange(port: u16, request: &[u8], expected: &[u8]) -> io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    while answer.len() < 64 * 1024 {
        if stream.read_buf(&mut answer).await? == 0 {
            return Ok(false);
        }
        if answer.windows(expected.len()).any(|part| part == expected) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Runs a program unheard.
async fn ends_well(program: &str, arguments: &[String]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true).status().await.is_ok_and(|status| status.success())
}
