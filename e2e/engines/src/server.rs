//! What all engines have in common: one process on a port, in a folder of its own, that is up when it gives an answer.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::probe::Probe;
use crate::process::Process;
use crate::{folder, free_port};

/// A killed Kafka broker is let in again when its old session is over, and Kubernetes builds its roles: seconds, on a
/// machine that builds and tests at the same time.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// One running engine.
#[derive(Debug)]
pub struct Server {
    process: Process,
    port: u16,
    probe: Probe,
    folder: TempDir,
}

/// How to start one, and to see that it is up.
pub(crate) struct Launch {
    /// The program and its arguments.
    pub(crate) arguments: Vec<String>,
    pub(crate) probe: Probe,
}

impl Server {
    /// Starts what `launch` says for a folder and a port; on other ones where another process was faster to take the port.
    pub(crate) async fn start(name: &str, launch: impl Fn(&Path, u16) -> Result<Launch>) -> Result<Self> {
        crate::process::tries(|| Self::try_start(name, &launch)).await
    }

    async fn try_start(name: &str, launch: &impl Fn(&Path, u16) -> Result<Launch>) -> Result<Self> {
        let port = free_port()?;
        let folder = folder::temporary(&format!("{name}-"))?;
        let Launch { arguments, probe } = launch(folder.path(), port)?;
        let process = Process::start(name, arguments, Vec::new(), &folder.path().join("log"))?;
        let server = Self { process, port, probe, folder };
        server.ready().await?;
        Ok(server)
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

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn ready(&self) -> Result<Duration> {
        self.process.ready(READY_WITHIN, || self.probe.answered(self.port)).await
    }
}
