//! Folders: the cache that `install.sh` fills, and a temporary one for each process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// `${GOCHAT_CACHE:-$HOME/.cache/gochat}`, as in `install.sh`.
pub(crate) fn cache() -> PathBuf {
    std::env::var_os("GOCHAT_CACHE").map_or_else(
        || Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".cache/gochat"),
        PathBuf::from,
    )
}

/// A folder for one engine, removed with its handle.
///
/// An engine kept in a `static` is never dropped, so its folder stays when the test process ends: the next process
/// removes it. Hence the owner's pid in the path.
pub(crate) fn temporary(name: &str) -> Result<TempDir> {
    static SWEPT: Once = Once::new();
    let root = std::env::temp_dir().join("gochat-engines");
    SWEPT.call_once(|| sweep(&root));
    let mine = root.join(std::process::id().to_string());
    fs::create_dir_all(&mine).with_context(|| format!("create {}", mine.display()))?;
    tempfile::Builder::new()
        .prefix(name)
        .tempdir_in(&mine)
        .with_context(|| format!("a folder in {}", mine.display()))
}

fn sweep(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let lives = Path::new("/proc").join(entry.file_name()).exists();
        if !lives {
            // Another process may be sweeping too; what one of them could not remove the next one will.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Copies a ready-made folder with its owners and times, sharing blocks where the file system can.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let status =
        Command::new("cp").args(["-a", "--reflink=auto"]).args([from, to]).status().context("run cp")?;
    ensure!(status.success(), "cp {} {}: {status}", from.display(), to.display());
    Ok(())
}
