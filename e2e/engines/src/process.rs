//! One child process on loopback: started, killed, started again, with its output in a file.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

/// A child process that can be killed and started again the same way. Ends with its handle, or with this process.
#[derive(Debug)]
pub struct Process {
    name: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Starts `arguments[0]`; what it writes goes to the file `log`.
    pub fn start(
        name: &str,
        arguments: Vec<String>,
        environment: Vec<(String, String)>,
        log: &Path,
    ) -> Result<Self> {
        let process = Self {
            name: name.to_owned(),
            arguments,
            environment,
            log: log.to_owned(),
            child: Mutex::new(None),
        };
        process.spawn()?;
        Ok(process)
    }

    /// Its name, as given to `start`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// Starts it again after its end, appending to the same log.
    pub fn spawn(&self) -> Result<()> {
        let output = File::options().create(true).append(true).open(&self.log);
        let output = output.with_context(|| format!("open {}", self.log.display()))?;
        // The kernel ends the child when the thread that started it does, so also when this process is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(&self.arguments);
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = spawn_on_a_lasting_thread(command).with_context(|| format!("start {}", self.name))?;
        *self.child() = Some(child);
        Ok(())
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(&self) -> Result<()> {
        if let Some(mut child) = self.child().take() {
            child.kill().with_context(|| format!("kill {}", self.name))?;
            child.wait().with_context(|| format!("wait for {}", self.name))?;
        }
        Ok(())
    }

    /// SIGTERM; waits for its end, at most so long.
    pub async fn terminate(&self, within: Duration) -> Result<ExitStatus> {
        let pid = self.pid().with_context(|| format!("{} does not run", self.name))?;
        let sent = Command::new("kill").args(["-TERM", &pid.to_string()]).status()?;
        ensure!(sent.success(), "kill -TERM {pid} ({}): {sent}", self.name);
        self.wait(within).await
    }

    /// Waits for its end, at most so long.
    pub async fn wait(&self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.exited()? {
                self.child().take();
                return Ok(status);
            }
            ensure!(
                Instant::now() < deadline,
                "{} still runs after {within:?}:\n{}",
                self.name,
                self.log_tail()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until `answers` is true, at most so long; fails at once, with the end of its log, when the process ends.
    pub async fn ready<F: Future<Output = bool>>(
        &self,
        within: Duration,
        answers: impl Fn() -> F,
    ) -> Result<Duration> {
        let begun = Instant::now();
        loop {
            if let Ok(true) = tokio::time::timeout(Duration::from_secs(5), answers()).await {
                return Ok(begun.elapsed());
            }
            if let Some(status) = self.exited()? {
                bail!("{} ended ({status}) before it was ready:\n{}", self.name, self.log_tail());
            }
            if begun.elapsed() > within {
                bail!("{} was not ready within {within:?}:\n{}", self.name, self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How it ended, where it did by itself.
    pub fn exited(&self) -> Result<Option<ExitStatus>> {
        match self.child().as_mut() {
            Some(child) => Ok(child.try_wait()?),
            None => Err(anyhow!("{} was ended", self.name)),
        }
    }

    /// The last 30 lines that it wrote.
    pub fn log_tail(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(30)..).unwrap_or_default().join("\n")
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Starts something that may find its port taken: up to three times, each on ports of its own.
pub(crate) async fn tries<T, F: Future<Output = Result<T>>>(start: impl Fn() -> F) -> Result<T> {
    for _ in 0..2 {
        if let Ok(started) = start().await {
            return Ok(started);
        }
    }
    start().await
}

/// Where a program is: on the `PATH`, or where daemons are.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The path as an argument.
pub(crate) fn text(path: impl AsRef<OsStr>) -> String {
    path.as_ref().to_string_lossy().into_owned()
}

type Order = (Command, SyncSender<io::Result<Child>>);

/// Starts a process from a thread that lives as long as this process: a test's own thread ends with the test, and would
/// take an engine that other tests share with it.
fn spawn_on_a_lasting_thread(command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<SyncSender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, next): (SyncSender<Order>, Receiver<Order>) = sync_channel(16);
        thread::spawn(move || {
            for (mut command, reply) in next {
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let (reply, child) = sync_channel(1);
    spawner.send((command, reply)).context("the starting thread is gone")?;
    Ok(child.recv().context("the starting thread is gone")??)
}
