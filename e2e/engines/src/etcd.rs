//! etcd, one member.

use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::process::{Process, text};
use crate::{folder, free_port, probe};

const READY_WITHIN: Duration = Duration::from_secs(30);
const HEALTH: &[u8] = b"GET /health HTTP/1.0\r\n\r\n";

/// One member.
#[derive(Debug)]
pub struct Etcd {
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl Etcd {
    /// Starts one; tries other ports where another process was faster.
    pub async fn start() -> Result<Self> {
        Self::start_program("etcd", &[]).await
    }

    /// Starts another build of it, with more flags: the newest API servers don't take what distributions ship.
    pub(crate) async fn start_program(program: &str, flags: &[&str]) -> Result<Self> {
        crate::process::tries(|| Self::try_start(program, flags)).await
    }

    async fn try_start(program: &str, flags: &[&str]) -> Result<Self> {
        let port = free_port()?;
        let folder = folder::temporary("etcd-")?;
        let (client, peer) =
            (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", free_port()?));
        let (data, cluster) = (text(folder.path().join("data")), format!("a={peer}"));
        let arguments = [
            &["--name", "a"] as &[&str],
            &["--data-dir", &data],
            &["--listen-client-urls", &client, "--advertise-client-urls", &client],
            &["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer],
            &["--initial-cluster", &cluster],
            &["--heartbeat-interval", "50", "--election-timeout", "250"],
            flags,
        ];
        let arguments = std::iter::once(program).chain(arguments.concat()).map(str::to_owned).collect();
        let process = Process::start("etcd", arguments, Vec::new(), &folder.path().join("log"))?;
        let etcd = Self { process, port, _folder: folder };
        etcd.ready().await?;
        Ok(etcd)
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// SIGKILL.
    pub fn kill(&self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again on the same port and data; returns how long it took to answer.
    pub async fn restart(&self) -> Result<Duration> {
        self.kill()?;
        self.process.spawn()?;
        self.ready().await
    }

    async fn ready(&self) -> Result<Duration> {
        self.process.ready(READY_WITHIN, || probe::answers(self.port, HEALTH, br#""health":"true""#)).await
    }
}
