//! The `gochat` binary under test.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tokio::sync::OnceCell;

/// `GOCHAT_BIN` where it is set (as `make test` does), else built now, once.
pub(crate) async fn path() -> Result<&'static Path> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let path = BUILT.get_or_try_init(async || match std::env::var_os("GOCHAT_BIN") {
        Some(path) => Ok(PathBuf::from(path)),
        None => tokio::task::spawn_blocking(build).await.context("build")?,
    });
    Ok(path.await?.as_path())
}

fn build() -> Result<PathBuf> {
    let release = !cfg!(debug_assertions);
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--bin", "gochat"]).args(release.then_some("--release"));
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let status = cargo.status().context("run cargo")?;
    ensure!(status.success(), "cargo build --bin gochat: {status}");
    // This program is target/<profile>/gochat-stack or target/<profile>/deps/<test>-<hash>.
    let me = std::env::current_exe()?;
    me.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("gochat"))
        .find(|path| path.is_file())
        .with_context(|| format!("no gochat near {}", me.display()))
}
