//! Redis, one node, without persistence: GoChat keeps nothing there that it can't do without.

use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::process::{Process, text};
use crate::{folder, free_port, probe};

const READY_WITHIN: Duration = Duration::from_secs(30);

/// One server.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl Redis {
    /// Starts one; tries other ports where another process was faster.
    pub async fn start() -> Result<Self> {
        crate::process::tries(Self::try_start).await
    }

    async fn try_start() -> Result<Self> {
        let port = free_port()?;
        let folder = folder::temporary("redis-")?;
        let (port_text, folder_text) = (port.to_string(), text(folder.path()));
        let arguments = [
            "redis-server",
            "--bind",
            "127.0.0.1",
            "--port",
            &port_text,
            "--dir",
            &folder_text,
            "--save",
            "",
            "--appendonly",
            "no",
        ];
        let arguments = arguments.map(str::to_owned).to_vec();
        let process = Process::start("redis", arguments, Vec::new(), &folder.path().join("log"))?;
        let redis = Self { process, port, _folder: folder };
        redis.ready().await?;
        Ok(redis)
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `redis://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// SIGKILL.
    pub fn kill(&self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again on the same port, empty; returns how long it took to answer.
    pub async fn restart(&self) -> Result<Duration> {
        self.kill()?;
        self.process.spawn()?;
        self.ready().await
    }

    async fn ready(&self) -> Result<Duration> {
        self.process.ready(READY_WITHIN, || probe::answers(self.port, b"PING\r\n", b"+PONG")).await
    }
}
