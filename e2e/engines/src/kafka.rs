//! Apache Kafka in KRaft mode, one node.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::probe::Probe;
use crate::process::text;
use crate::server::Launch;
use crate::{Server, Tuning, folder, free_port};

/// As in `install.sh`.
const VERSION: &str = "4.4.0";
/// `ApiVersions` v0, correlation id 7, no client id; its answer: the same id, no error.
const API_VERSIONS: Probe = Probe::Bytes {
    request: &[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff],
    expected: &[0, 0, 0, 7, 0, 0],
};

/// One broker.
#[derive(Debug)]
pub struct Kafka(Server);

impl Kafka {
    /// Starts one for functional tests.
    pub async fn start() -> Result<Self> {
        Self::start_for(Tuning::Function).await
    }

    /// Starts one.
    pub async fn start_for(tuning: Tuning) -> Result<Self> {
        let launch = |folder: &Path, port: u16| {
            folder::copy(&home().join("template"), &folder.join("data"))?;
            let settings = folder.join("server.properties");
            let text_of_settings = include_str!("../kafka/server.properties")
                .replace("@PORT@", &port.to_string())
                .replace("@CONTROLLER@", &free_port()?.to_string())
                .replace("@DIR@", &text(folder));
            fs::write(&settings, text_of_settings)
                .with_context(|| format!("write {}", settings.display()))?;
            Ok(Launch { arguments: arguments(tuning, text(&settings)), probe: API_VERSIONS })
        };
        // Its address is the bootstrap server.
        Server::start("kafka", launch).await.map(Self)
    }
}

impl Deref for Kafka {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

/// Where `install.sh` puts the jars, the class archive and the formatted folder.
pub(crate) fn home() -> PathBuf {
    folder::cache().join(format!("kafka-{VERSION}"))
}

fn arguments(tuning: Tuning, settings: String) -> Vec<String> {
    let home = text(home());
    let jvm: &[&str] = match tuning {
        Tuning::Function => &["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"],
        Tuning::Load => &[
            "-Xms1g",
            "-Xmx1g",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            "-XX:InitiatingHeapOccupancyPercent=35",
        ],
    };
    let fixed = [
        format!("-XX:SharedArchiveFile={home}/kafka.jsa"),
        format!("-Dlog4j2.configurationFile={home}/log4j2.yaml"),
        "-cp".to_owned(),
        format!("{home}/lib/*"),
        "kafka.Kafka".to_owned(),
        settings,
    ];
    ["java".to_owned()].into_iter().chain(jvm.iter().map(|&flag| flag.to_owned())).chain(fixed).collect()
}
