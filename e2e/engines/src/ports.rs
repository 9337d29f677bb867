//! Ports that are free now.

use std::net::TcpListener;

use anyhow::{Context, Result};

/// A loopback port below the ephemeral range that nobody listens on. Somebody may take it before it is used: whoever
/// starts a process on it tries again on another.
pub fn free_port() -> Result<u16> {
    (0..200)
        .map(|_| rand::random_range(12_000..32_000))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("no free port between 12000 and 32000")
}
