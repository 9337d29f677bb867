//! The protocol as an earlier commit had it, by git.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// The commit to stay compatible with: the one asked for, else the last release's tag, else `origin/main`.
pub(crate) fn resolve(proto: &Path, asked: Option<&str>) -> Result<Option<String>> {
    if let Some(asked) = asked {
        if !git(proto, &["rev-parse", "--verify", "--quiet", &format!("{asked}^{{commit}}")])?
            .status
            .success()
        {
            bail!("{asked} is not a commit");
        }
        return Ok(Some(asked.to_owned()));
    }
    let tag = git(proto, &["describe", "--tags", "--abbrev=0", "--match", "v*"])?;
    if tag.status.success() {
        return Ok(Some(String::from_utf8(tag.stdout)?.trim().to_owned()));
    }
    let main = git(proto, &["rev-parse", "--verify", "--quiet", "origin/main"])?;
    Ok(main.status.success().then(|| "origin/main".to_owned()))
}

/// What the commit has checked in; `None` where it has none yet.
pub(crate) fn descriptors(proto: &Path, commit: &str) -> Result<Option<FileDescriptorSet>> {
    let shown = git(proto, &["show", &format!("{commit}:./src/generated/descriptors.bin")])?;
    if !shown.status.success() {
        return Ok(None);
    }
    FileDescriptorSet::decode(shown.stdout.as_slice())
        .map(Some)
        .with_context(|| format!("descriptors.bin of {commit}"))
}

fn git(folder: &Path, arguments: &[&str]) -> Result<Output> {
    Command::new("git").current_dir(folder).args(arguments).output().context("run git")
}
