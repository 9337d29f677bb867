//! Asks an engine something in its own protocol: it is up when it answers, not when it listens.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends the request and reads until the answer holds `expected`, or the peer closes.
pub(crate) async fn answers(port: u16, request: &[u8], expected: &[u8]) -> bool {
    exchange(port, request, expected).await.unwrap_or(false)
}

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
