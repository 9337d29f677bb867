//! MariaDB, standing for everything that speaks MySQL's protocol.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::{Process, program, text};
use crate::{Tuning, folder, free_port};

const READY_WITHIN: Duration = Duration::from_mins(1);

/// One server; every commit is flushed, as in production.
#[derive(Debug)]
pub struct MariaDb {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl MariaDb {
    /// Starts one for functional tests, with an empty database `gochat`.
    pub async fn start() -> Result<Self> {
        Self::start_for(Tuning::Function).await
    }

    /// Starts one; tries other ports where another process was faster.
    pub async fn start_for(tuning: Tuning) -> Result<Self> {
        crate::process::tries(|| Self::try_start(tuning)).await
    }

    async fn try_start(tuning: Tuning) -> Result<Self> {
        let port = free_port()?;
        let folder = folder::temporary("db-")?;
        folder::copy(&template(), &folder.path().join("data"))?;
        let process = Process::start(
            "mariadb",
            arguments(tuning, &folder, port)?,
            Vec::new(),
            &folder.path().join("log"),
        )?;
        let mariadb = Self { process, port, folder };
        mariadb.ready().await?;
        mariadb.create_database("gochat").await?;
        Ok(mariadb)
    }

    /// `mysql://root@127.0.0.1:port/gochat`.
    pub fn url(&self) -> String {
        self.url_of("gochat")
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Makes an empty database, so that tests can share the server; returns its URL.
    pub async fn create_database(&self, name: &str) -> Result<String> {
        let statement =
            format!("CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
        let output = self.client("mariadb").args(["-e", &statement]).output().await.context("run mariadb")?;
        ensure!(
            output.status.success(),
            "create database {name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(self.url_of(name))
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
        let ping = || async {
            let output = self.client("mariadb-admin").arg("ping").output().await;
            output.is_ok_and(|output| output.status.success())
        };
        self.process.ready(READY_WITHIN, ping).await
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["--no-defaults", "-uroot", "-S"]).arg(self.folder.path().join("s"));
        command
    }

    fn url_of(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }
}

/// Where `install.sh` puts the ready-made data folder.
pub(crate) fn template() -> PathBuf {
    folder::cache().join("mariadb/template")
}

fn arguments(tuning: Tuning, folder: &TempDir, port: u16) -> Result<Vec<String>> {
    let server = program("mariadbd").context("mariadbd is not installed")?;
    let buffer_pool = match tuning {
        Tuning::Function => "64M",
        Tuning::Load => "512M",
    };
    let path = text(folder.path());
    let mut arguments = vec![
        text(server),
        "--no-defaults".to_owned(),
        format!("--datadir={path}/data"),
        format!("--socket={path}/s"),
        format!("--pid-file={path}/pid"),
        format!("--port={port}"),
        format!("--innodb-buffer-pool-size={buffer_pool}"),
    ];
    let fixed = [
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--skip-log-bin",
        "--innodb-log-file-size=32M",
        "--max-connections=500",
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_bin",
        "--innodb-flush-log-at-trx-commit=1",
    ];
    arguments.extend(fixed.map(str::to_owned));
    // It refuses to run as root unless told so.
    if std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
        arguments.push("--user=root".to_owned());
    }
    Ok(arguments)
}
