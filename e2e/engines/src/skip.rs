//! What this machine lacks is skipped loudly: by name, in a list that `make test` counts and CI fails on.

use std::fs::File;
use std::io::Write;

use crate::{kafka, kubernetes, mariadb, process::program};

/// An engine that tests may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    #[allow(missing_docs)]
    Kafka,
    #[allow(missing_docs)]
    MariaDb,
    #[allow(missing_docs)]
    Redis,
    #[allow(missing_docs)]
    Etcd,
    #[allow(missing_docs)]
    Kubernetes,
}

impl Engine {
    /// What a [`crate::Stack`] needs.
    pub const ALL: [Self; 4] = [Self::Kafka, Self::MariaDb, Self::Redis, Self::Etcd];
}

/// `None` where the engine can be started, else what is missing.
pub fn available(engine: Engine) -> Option<String> {
    let (needed, made) = match engine {
        Engine::Kafka => ("java", Some(kafka::home().join("stamp"))),
        Engine::MariaDb => ("mariadbd", Some(mariadb::template())),
        Engine::Redis => ("redis-server", None),
        Engine::Etcd => ("etcd", None),
        Engine::Kubernetes => return kubernetes::lacking().map(|what| format!("{engine:?}: {what}")),
    };
    if program(needed).is_none() {
        return Some(format!("{engine:?}: {needed} is not installed (run e2e/engines/install.sh)"));
    }
    let made = made.filter(|path| !path.exists())?;
    Some(format!("{engine:?}: {} is missing (run e2e/engines/install.sh)", made.display()))
}

/// True where one of the engines is missing; then the test was skipped loudly and should return.
pub fn missing(test: &str, engines: &[Engine]) -> bool {
    let reason = engines.iter().find_map(|&engine| available(engine));
    if let Some(reason) = &reason {
        skip_loudly(test, reason);
    }
    reason.is_some()
}

/// Prints `SKIPPED test: reason` past the test runner's capture, and appends it to the file that `GOCHAT_SKIP_LOG` names.
pub fn skip_loudly(test: &str, reason: &str) {
    let line = format!("SKIPPED {test}: {reason}\n");
    // Not eprint!: that is captured, and shown only when the test fails.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("GOCHAT_SKIP_LOG") {
        let written = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        assert!(written.is_ok(), "GOCHAT_SKIP_LOG {}: {written:?}", path.display());
    }
}
