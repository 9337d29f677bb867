//! Apache Kafka in KRaft mode, one node.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process::{Process, text};
use crate::{Tuning, folder, free_port, probe};

/// As in `install.sh`.
const VERSION: &str = "4.4.0";
/// A killed broker is let in again when its old session is over, so a restart takes seconds.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// `ApiVersions` v0, correlation id 7, no client id.
const API_VERSIONS: &[u8] = &[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
/// The same correlation id, no error.
const API_VERSIONS_ANSWER: &[u8] = &[0, 0, 0, 7, 0, 0];

/// One broker.
#[derive(Debug)]
pub struct Kafka {
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl Kafka {
    /// Starts one for functional tests.
    pub async fn start() -> Result<Self> {
        Self::start_for(Tuning::Function).await
    }

    /// Starts one; tries other ports where another process was faster.
    pub async fn start_for(tuning: Tuning) -> Result<Self> {
        crate::process::tries(|| Self::try_start(tuning)).await
    }

    async fn try_start(tuning: Tuning) -> Result<Self> {
        let (port, controller) = (free_port()?, free_port()?);
        let folder = folder::temporary("kafka-")?;
        folder::copy(&home().join("template"), &folder.path().join("data"))?;
        let settings = folder.path().join("server.properties");
        let text_of_settings = include_str!("../kafka/server.properties")
            .replace("@PORT@", &port.to_string())
            .replace("@CONTROLLER@", &controller.to_string())
            .replace("@DIR@", &text(folder.path()));
        fs::write(&settings, text_of_settings).with_context(|| format!("write {}", settings.display()))?;
        let process = Process::start(
            "kafka",
            arguments(tuning, text(&settings)),
            Vec::new(),
            &folder.path().join("log"),
        )?;
        let kafka = Self { process, port, _folder: folder };
        kafka.ready().await?;
        Ok(kafka)
    }

    /// `127.0.0.1:port`, the bootstrap server.
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
        self.process
            .ready(READY_WITHIN, || probe::answers(self.port, API_VERSIONS, API_VERSIONS_ANSWER))
            .await
    }
}

/// Where `install.sh` puts the jars, the class archive and the formatted folder.
pub(crate) fn home() -> PathBuf {
    folder::cache().join(format!("kafka-{VERSION}"))
}

fn arguments(tuning: Tuning, settings: String) -> Vec<String> {
    let home = text(home());
    let jvm: &[&str] = match tuning {
        Tuning::Function => &["-Xmx256m", "-XX:TieredStopAtLevel=1"],
        Tuning::Load => &["-Xms512m", "-Xmx512m"],
    };
    let fixed = [
        "-XX:+UseSerialGC".to_owned(),
        format!("-XX:SharedArchiveFile={home}/kafka.jsa"),
        format!("-Dlog4j2.configurationFile={home}/log4j2.yaml"),
        "-cp".to_owned(),
        format!("{home}/lib/*"),
        "kafka.Kafka".to_owned(),
        settings,
    ];
    ["java".to_owned()].into_iter().chain(jvm.iter().map(|&flag| flag.to_owned())).chain(fixed).collect()
}
