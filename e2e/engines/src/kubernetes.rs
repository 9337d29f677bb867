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
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::sync::OnceCell;

use crate::process::Process;
use crate::{Etcd, Server};
pub use audit::Request;
use programs::Programs;
pub(crate) use programs::lacking;

const CONTROLLERS_WITHIN: Duration = Duration::from_mins(1);

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
    controllers: Vec<Process>,
    api_server: Server,
    etcd: Etcd,
    kubeconfig: PathBuf,
    programs: Programs,
    options: Options,
}

impl Kubernetes {
    /// Starts one with controllers and audit log; ready for use when it returns.
    pub async fn start() -> Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// Starts one.
    pub async fn start_with(options: Options) -> Result<Self> {
        let programs = Programs::find(options.controllers)?;
        let etcd = Etcd::start_program(&programs.path("etcd"), &["--unsafe-no-fsync"]).await?;
        let launch = |folder: &Path, port| launch::api_server(&programs, folder, port, &etcd, options.audit);
        let api_server = Server::start("kube-apiserver", launch).await?;
        let kubeconfig = api_server.folder().join(launch::ADMIN);
        let mut kubernetes =
            Self { controllers: Vec::new(), api_server, etcd, kubeconfig, programs, options };
        if options.controllers {
            kubernetes.controllers = kubernetes.start_controllers().await?;
        }
        Ok(kubernetes)
    }

    /// The one that all tests of this process share: started by whoever asks first, ended with the process.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Kubernetes> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    async fn start_controllers(&self) -> Result<Vec<Process>> {
        let folder = self.api_server.folder();
        let start = |name: &str, arguments| {
            Process::start(name, arguments, Vec::new(), &folder.join(format!("{name}.log")))
        };
        let manager = start("kube-controller-manager", launch::controller_manager(&self.programs, folder))?;
        let scheduler = start("kube-scheduler", launch::scheduler(&self.programs, folder))?;
        // Without its ServiceAccount no pod can be made: the last thing that a test would have to wait for.
        let account = || async {
            let mut kubectl = self.kubectl();
            kubectl.args(["get", "serviceaccount", "default", "--namespace=default"]);
            let output = tokio::process::Command::from(kubectl).output().await;
            output.is_ok_and(|output| output.status.success())
        };
        manager.ready(CONTROLLERS_WITHIN, account).await?;
        Ok(vec![manager, scheduler])
    }

    /// `https://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("https://{}", self.api_server.address())
    }

    /// A kubeconfig whose user `admin` may do everything.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
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
        let path = self.api_server.folder().join(format!("{namespace}.{service_account}.kubeconfig"));
        launch::write_kubeconfig(&path, self.api_server.port(), token.trim())?;
        Ok(path)
    }

    /// The `kubectl` of the same version, as cluster admin.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.programs.path("kubectl"));
        command.env("KUBECONFIG", &self.kubeconfig).env("HOME", self.api_server.folder());
        command
    }

    /// Server-side apply of objects in YAML or JSON, as cluster admin; what names no namespace is in `default`.
    pub fn apply(&self, objects: &str) -> Result<()> {
        let mut kubectl = self.kubectl();
        kubectl.args(["apply", "--server-side", "--filename=-"]);
        kubectl.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = kubectl.spawn().context("run kubectl")?;
        child.stdin.take().context("a pipe to kubectl")?.write_all(objects.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "kubectl apply: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// What was asked of the API server so far, by all but Kubernetes' own programs; empty where `audit` is off.
    ///
    /// A request is seen here a moment after its answer: poll for one that you expect. A watch is there from its begin.
    pub fn requests(&self) -> Result<Vec<Request>> {
        if !self.options.audit {
            return Ok(Vec::new());
        }
        let path = self.api_server.folder().join(launch::AUDIT_LOG);
        let log = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        audit::requests(&log)
    }

    /// SIGKILL to the API server; the rest keeps running.
    pub fn kill_api_server(&self) -> Result<()> {
        self.api_server.kill()
    }

    /// Starts the API server again, on the same port and data; returns how long it took to be ready.
    pub async fn restart_api_server(&self) -> Result<Duration> {
        self.api_server.restart().await
    }

    /// Process ids by program, of those that run.
    pub fn pids(&self) -> Vec<(String, u32)> {
        let servers = [("etcd", self.etcd.pid()), ("kube-apiserver", self.api_server.pid())];
        let servers = servers.map(|(name, pid)| (name.to_owned(), pid));
        let controllers = self.controllers.iter().map(|process| (process.name().to_owned(), process.pid()));
        servers.into_iter().chain(controllers).filter_map(|(name, pid)| Some((name, pid?))).collect()
    }
}
