//! MariaDB, standing for everything that speaks MySQL's protocol.

use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::probe::Probe;
use crate::process::{program, text};
use crate::server::Launch;
use crate::{Server, Tuning, folder};

/// One server; every commit is flushed, as in production.
#[derive(Debug)]
pub struct MariaDb(Server);

impl MariaDb {
    /// Starts one for functional tests, with an empty database `gochat`.
    pub async fn start() -> Result<Self> {
        Self::start_for(Tuning::Function).await
    }

    /// Starts one.
    pub async fn start_for(tuning: Tuning) -> Result<Self> {
        let launch = |folder: &Path, port: u16| {
            folder::copy(&template(), &folder.join("data"))?;
            let ping = ("mariadb-admin".to_owned(), client_arguments(folder, &["ping"]));
            Ok(Launch { arguments: arguments(tuning, folder, port)?, probe: Probe::Programs(vec![ping]) })
        };
        let mariadb = Self(Server::start("mariadb", launch).await?);
        mariadb.create_database("gochat").await?;
        Ok(mariadb)
    }

    /// `mysql://root@127.0.0.1:port/gochat`.
    pub fn url(&self) -> String {
        self.url_of("gochat")
    }

    /// Makes an empty database, so that tests can share the server; returns its URL.
    pub async fn create_database(&self, name: &str) -> Result<String> {
        let statement =
            format!("CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
        let arguments = client_arguments(self.folder(), &["-e", &statement]);
        let output = Command::new("mariadb").args(arguments).output().await.context("run mariadb")?;
        ensure!(
            output.status.success(),
            "create database {name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(self.url_of(name))
    }

    fn url_of(&self, database: &str) -> String {
        format!("mysql://root@{}/{database}", self.address())
    }
}

impl Deref for MariaDb {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

/// Where `install.sh` puts the ready-made data folder.
pub(crate) fn template() -> PathBuf {
    folder::cache().join("mariadb/template")
}

fn client_arguments(folder: &Path, more: &[&str]) -> Vec<String> {
    let socket = text(folder.join("s"));
    let all: [&[&str]; _] = [&["--no-defaults", "-uroot", "-S", &socket], more];
    all.concat().into_iter().map(str::to_owned).collect()
}

fn arguments(tuning: Tuning, folder: &Path, port: u16) -> Result<Vec<String>> {
    let server = program("mariadbd").context("mariadbd is not installed")?;
    // A small log of changes makes the server write its pages early and often.
    let (buffer_pool, redo_log) = match tuning {
        Tuning::Function => ("64M", "32M"),
        Tuning::Load => ("512M", "512M"),
    };
    let path = text(folder);
    let mut arguments = vec![
        text(server),
        "--no-defaults".to_owned(),
        format!("--datadir={path}/data"),
        format!("--socket={path}/s"),
        format!("--pid-file={path}/pid"),
        format!("--port={port}"),
        format!("--innodb-buffer-pool-size={buffer_pool}"),
        format!("--innodb-log-file-size={redo_log}"),
    ];
    let fixed = [
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--skip-log-bin",
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
