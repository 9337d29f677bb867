//! A Kubernetes control plane without nodes: etcd, API server, controllers and scheduler.
//!
//! ```text
//! programs   where they are: KUBEBUILDER_ASSETS, the PATH, or what install.sh built
//! launch     the flags that each is started with
//! audit      what was asked of the API server, from its log
//! ```
//!
//! # Caveats
//! - Pods stay pending: who plays the kubelet patches their status.
//! - Without the controllers nothing is garbage collected, namespaces stay terminating, and a namespace has no
//!   ServiceAccount `default`.

mod audit;
mod launch;
mod programs;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::process::{self, Process};
use crate::{Etcd, folder, free_port};
pub use audit::Request;
use programs::Programs;
pub(crate) use programs::lacking;

const READY_WITHIN: Duration = Duration::from_mins(2);

/// What runs beside etcd and the API server.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The controller manager and the scheduler: Deployments get ReplicaSets, these get Pods, owners take theirs along.
    pub controllers: bool,
    /// Keep every request, for [`Kubernetes::requests`].
    pub audit: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { controllers: true, audit: true }
    }
}

/// One control plane.
#[derive(Debug)]
pub struct Kubernetes {
    // Dropped in this order: who talks to another goes first.
    _controllers: Vec<Process>,
    api_server: Process,
    _etcd: Etcd,
    programs: Programs,
    options: Options,
    port: u16,
    folder: TempDir,
}

impl Kubernetes {
    /// Starts one with controllers and audit log; ready for use by the time it returns.
    pub async fn start() -> Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// Starts one; tries other ports where another process was faster.
    pub async fn start_with(options: Options) -> Result<Self> {
        let programs = Programs::find(options.controllers)?;
        process::tries(|| Self::try_start(&programs, options)).await
    }

    /// The one that all tests of this process share: started by whoever asks first, ended with the process.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Kubernetes> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    async fn try_start(programs: &Programs, options: Options) -> Result<Self> {
        let folder = folder::temporary("kubernetes-")?;
        let etcd = Etcd::start_program(&programs.path("etcd"), &["--unsafe-no-fsync"]).await?;
        let port = free_port()?;
        launch::write_files(folder.path(), port)?;
        let start = |program: &str, mut arguments: Vec<String>| {
            arguments.insert(0, programs.path(program));
            Process::start(program, arguments, Vec::new(), &folder.path().join(format!("{program}.log")))
        };
        let api_server =
            start("kube-apiserver", launch::api_server(folder.path(), port, &etcd.url(), options.audit))?;
        let mut kubernetes = Self {
            _controllers: Vec::new(),
            api_server,
            _etcd: etcd,
            programs: programs.clone(),
            options,
            port,
            folder,
        };
        kubernetes.api_server_ready().await?;
        if options.controllers {
            let folder = kubernetes.folder.path();
            let start = |program: &str, mut arguments: Vec<String>| {
                arguments.insert(0, programs.path(program));
                Process::start(program, arguments, Vec::new(), &folder.join(format!("{program}.log")))
            };
            let manager = start("kube-controller-manager", launch::controller_manager(folder))?;
            let scheduler = start("kube-scheduler", launch::scheduler(folder))?;
            // A pod is refused until its ServiceAccount is there.
            manager.ready(READY_WITHIN, || kubernetes.answers(&["get", "serviceaccount", "default"])).await?;
            kubernetes._controllers = vec![manager, scheduler];
        }
        Ok(kubernetes)
    }

    /// `https://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// A kubeconfig whose user `admin` may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join(launch::ADMIN)
    }

    /// A kubeconfig for a ServiceAccount that is there, with a token for a day: it may do what RBAC gives to it.
    pub fn kubeconfig_for(&self, namespace: &str, service_account: &str) -> Result<PathBuf> {
        let output = self
            .kubectl()
            .args(["create", "token", service_account, "--namespace", namespace, "--duration", "24h"])
            .output()
            .context("run kubectl")?;
        ensure!(
            output.status.success(),
            "a token for {namespace}/{service_account}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let token = String::from_utf8(output.stdout)?;
        let path = self.folder.path().join(format!("{namespace}.{service_account}.kubeconfig"));
        launch::write_kubeconfig(&path, self.port, token.trim())?;
        Ok(path)
    }

    /// The `kubectl` of the same version, as cluster admin.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.programs.path("kubectl"));
        command.env("KUBECONFIG", self.kubeconfig()).env("HOME", self.folder.path());
        command
    }

    /// What was asked of the API server so far, by all but Kubernetes' own programs; empty where `audit` is off.
    ///
    /// A request is seen here a moment after its answer: poll for one that you expect. A watch is there from its begin.
    pub fn requests(&self) -> Result<Vec<Request>> {
        if !self.options.audit {
            return Ok(Vec::new());
        }
        let path = self.folder.path().join(launch::AUDIT_LOG);
        let log = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        audit::requests(&log)
    }

    /// The API server's process id while it runs.
    pub fn api_server_pid(&self) -> Option<u32> {
        self.api_server.pid()
    }

    /// SIGKILL to the API server; the rest keeps running.
    pub fn kill_api_server(&self) -> Result<()> {
        self.api_server.kill()
    }

    /// Starts the API server again, on the same port and data; returns how long it took to be ready.
    pub async fn restart_api_server(&self) -> Result<Duration> {
        self.kill_api_server()?;
        self.api_server.spawn()?;
        self.api_server_ready().await
    }

    async fn api_server_ready(&self) -> Result<Duration> {
        let ready = || async {
            // kubectl takes a quarter of a second of a core: ask only once there is somebody to answer.
            tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()
                && self.answers(&["get", "--raw", "/readyz"]).await
                // Made a moment after the server calls itself ready.
                && self.answers(&["get", "namespace", "default"]).await
        };
        self.api_server.ready(READY_WITHIN, ready).await
    }

    async fn answers(&self, arguments: &[&str]) -> bool {
        let mut command = self.kubectl();
        command.args(arguments).arg("--request-timeout=5s");
        let output = tokio::process::Command::from(command).output().await;
        output.is_ok_and(|output| output.status.success())
    }
}
