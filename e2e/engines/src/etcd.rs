//! etcd, one member.

use std::ops::Deref;
use std::path::Path;

use anyhow::Result;

use crate::probe::Probe;
use crate::process::text;
use crate::server::Launch;
use crate::{Server, free_port};

const HEALTH: Probe =
    Probe::Bytes { request: b"GET /health HTTP/1.0\r\n\r\n", expected: br#""health":"true""# };

/// One member.
#[derive(Debug)]
pub struct Etcd(Server);

impl Etcd {
    /// Starts one.
    pub async fn start() -> Result<Self> {
        Self::start_program("etcd", &[]).await
    }

    /// Starts another build of it, with more flags: the newest API servers don't take what distributions ship.
    pub(crate) async fn start_program(program: &str, flags: &[&str]) -> Result<Self> {
        let launch = |folder: &Path, port: u16| {
            Ok(Launch { arguments: arguments(program, folder, port, free_port()?, flags), probe: HEALTH })
        };
        Server::start("etcd", launch).await.map(Self)
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

impl Deref for Etcd {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

fn arguments(program: &str, folder: &Path, port: u16, peer_port: u16, flags: &[&str]) -> Vec<String> {
    let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
    let (data, cluster) = (text(folder.join("data")), format!("a={peer}"));
    let arguments: [&[&str]; _] = [
        &[program, "--name", "a", "--data-dir", &data],
        &["--listen-client-urls", &client, "--advertise-client-urls", &client],
        &["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer],
        &["--initial-cluster", &cluster],
        &["--heartbeat-interval", "50", "--election-timeout", "250"],
        flags,
    ];
    arguments.concat().into_iter().map(str::to_owned).collect()
}
