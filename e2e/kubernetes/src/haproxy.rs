//! HAProxy in front of the gateways, by the example that users get.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::kubectl::eventually;

const EXAMPLE: &str = include_str!("../haproxy.cfg");

/// A running HAProxy; stopped when dropped.
#[derive(Debug)]
pub struct HaProxy {
    master: Child,
    address: String,
    configuration: PathBuf,
    // Of its socket: the path of one may not be long.
    _folder: TempDir,
}

impl HaProxy {
    /// Starts it for two servers (`host:port`).
    pub fn start(servers: &[String], folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let [first, second] = servers else { bail!("two nodes are needed, there are {servers:?}") };
        let (configuration, log) = (folder.join("haproxy.cfg"), folder.join("haproxy.log"));
        fs::write(&configuration, EXAMPLE)?;
        let output = File::create(&log)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let socket = TempDir::new()?;
        let master = Command::new("haproxy")
            .args(["-W", "-db", "-f"])
            .arg(&configuration)
            .envs([("LISTEN", address.as_str()), ("NODE_1", first), ("NODE_2", second)])
            .env("SOCKET", socket.path().join("haproxy"))
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            .spawn()
            .context("start haproxy (e2e/engines/install.sh cluster installs it)")?;
        let proxy = Self { master, address, configuration, _folder: socket };
        let listens = || Ok(std::net::TcpStream::connect(&proxy.address).is_ok());
        eventually("haproxy listens", Duration::from_secs(10), listens)
            .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(proxy)
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Reloads with other lines, and waits until the process that was before has gone, with all of its connections; gives
    /// how long that took.
    pub fn reload(&self, change: impl Fn(&str) -> String) -> Result<Duration> {
        fs::write(&self.configuration, change(EXAMPLE))?;
        let before = self.workers()?;
        let reload = Command::new("kill").args(["-USR2", &self.master.id().to_string()]).status()?;
        ensure!(reload.success(), "kill -USR2: {reload}");
        eventually("a new process instead of the old one", Duration::from_secs(20), || {
            let now = self.workers()?;
            Ok(!now.is_empty() && now.iter().all(|worker| !before.contains(worker)))
        })
    }

    fn workers(&self) -> Result<Vec<String>> {
        let id = self.master.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        Ok(children.split_whitespace().map(str::to_owned).collect())
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        // The master takes its workers along.
        let _ = Command::new("kill").arg(self.master.id().to_string()).status();
        let _ = self.master.wait();
    }
}
