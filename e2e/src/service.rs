//! One GoChat process.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gochat_core::Workload;
use gochat_engines::{Process, free_port};

use crate::Metrics;

const READY_WITHIN: Duration = Duration::from_mins(1);

/// A service that runs as its own process, on ports that stay the same over restarts.
#[derive(Debug)]
pub struct Service {
    workload: Workload,
    member: String,
    process: Process,
    ports: Ports,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    admin: u16,
    grpc: u16,
    http: u16,
}

impl Service {
    /// Starts it; it is ready only after [`Service::ready`].
    pub(crate) fn start(
        binary: &Path,
        workload: Workload,
        member: &str,
        settings: &Path,
        logs: &Path,
    ) -> Result<Self> {
        let ports = Ports { admin: free_port()?, grpc: free_port()?, http: free_port()? };
        let arguments = arguments(binary, workload, member, settings, ports);
        let log: PathBuf = logs.join(format!("{member}.log"));
        let process = Process::start(member, arguments, Vec::new(), &log)?;
        Ok(Self { workload, member: member.to_owned(), process, ports })
    }

    /// What kind it is.
    pub fn workload(&self) -> Workload {
        self.workload
    }

    /// Its member id.
    pub fn member(&self) -> &str {
        &self.member
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// `http://127.0.0.1:port` of a gateway's page, API and WebSocket.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.http)
    }

    /// `http://127.0.0.1:port` of its gRPC server.
    pub fn grpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.grpc)
    }

    /// `http://127.0.0.1:port` of its probes and metrics.
    pub fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.admin)
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&self) -> Result<Duration> {
        let url = format!("{}/readyz", self.admin_url());
        let http = crate::http::client()?;
        self.process
            .ready(READY_WITHIN, || async {
                http.get(&url).send().await.is_ok_and(|r| r.status().is_success())
            })
            .await
    }

    /// Its metrics now.
    pub async fn metrics(&self) -> Result<Metrics> {
        let url = format!("{}/metrics", self.admin_url());
        let response = crate::http::client()?.get(&url).send().await.with_context(|| url.clone())?;
        ensure!(response.status().is_success(), "{url}: {}", response.status());
        Ok(Metrics::parse(&response.text().await?))
    }

    /// SIGKILL.
    pub fn kill(&self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again; returns how long it took to be ready.
    pub async fn restart(&self) -> Result<Duration> {
        self.kill()?;
        self.process.spawn()?;
        self.ready().await
    }

    /// SIGTERM, and waits for its end.
    pub async fn terminate(&self, within: Duration) -> Result<ExitStatus> {
        self.process.terminate(within).await
    }
}

fn arguments(binary: &Path, workload: Workload, member: &str, settings: &Path, ports: Ports) -> Vec<String> {
    let name = workload.as_str();
    let address = |port: u16| format!("127.0.0.1:{port}");
    let mut sets = vec![format!("admin.listen={}", address(ports.admin)), format!("{name}.member={member}")];
    if workload == Workload::Gateway {
        sets.push(format!("gateway.listen={}", address(ports.http)));
        sets.push(format!("gateway.grpc_listen={}", address(ports.grpc)));
    } else {
        sets.push(format!("{name}.listen={}", address(ports.grpc)));
    }
    let mut arguments = vec![
        binary.display().to_string(),
        name.to_owned(),
        "--config".to_owned(),
        settings.display().to_string(),
    ];
    for set in sets {
        arguments.extend(["--set".to_owned(), set]);
    }
    arguments
}
