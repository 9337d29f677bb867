//! Redis, one node, without persistence: GoChat keeps nothing there that it can't do without.

use std::ops::Deref;
use std::path::Path;

use anyhow::Result;

use crate::Server;
use crate::probe::Probe;
use crate::process::text;
use crate::server::Launch;

/// One server; empty again after a restart.
#[derive(Debug)]
pub struct Redis(Server);

impl Redis {
    /// Starts one.
    pub async fn start() -> Result<Self> {
        let launch = |folder: &Path, port: u16| {
            let (port, folder) = (port.to_string(), text(folder));
            let arguments: [&[&str]; _] = [
                &["redis-server", "--bind", "127.0.0.1", "--port", &port],
                &["--dir", &folder, "--save", "", "--appendonly", "no"],
            ];
            let arguments = arguments.concat().into_iter().map(str::to_owned).collect();
            Ok(Launch { arguments, probe: Probe::Bytes { request: b"PING\r\n", expected: b"+PONG" } })
        };
        Server::start("redis", launch).await.map(Self)
    }

    /// `redis://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }
}

impl Deref for Redis {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}
