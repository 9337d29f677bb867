//! Where Kubernetes' programs are.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::folder;
use crate::process::{program, text};

/// As in `install.sh`.
const VERSION: &str = "1.37.2";
const API: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];
const CONTROLLERS: [&str; 2] = ["kube-controller-manager", "kube-scheduler"];

/// Programs of one origin, never mixed: a distribution's old etcd is on many a `PATH`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Programs {
    Folder(PathBuf),
    Path,
}

impl Programs {
    /// The first origin that has all that is needed: the user's own before ours.
    pub(super) fn find(controllers: bool) -> Result<Self> {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(|folder| Self::Folder(folder.into()));
        let built = Self::Folder(folder::cache().join(format!("kubernetes-{VERSION}")));
        Self::first(assets.into_iter().chain([Self::Path, built]), controllers)
            .context("no Kubernetes programs here (run e2e/engines/install.sh kubernetes)")
    }

    fn first(mut origins: impl Iterator<Item = Self>, controllers: bool) -> Option<Self> {
        origins.find(|programs| programs.has(&API) && (!controllers || programs.has(&CONTROLLERS)))
    }

    /// The program as an argument.
    pub(super) fn path(&self, name: &str) -> String {
        match self {
            Self::Folder(folder) => text(folder.join(name)),
            Self::Path => name.to_owned(),
        }
    }

    fn has(&self, names: &[&str]) -> bool {
        names.iter().all(|name| match self {
            Self::Folder(folder) => folder.join(name).is_file(),
            Self::Path => program(name).is_some(),
        })
    }
}

/// What is missing to start everything; `None` where nothing is.
pub(crate) fn lacking() -> Option<String> {
    Programs::find(true).err().map(|error| error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn assets_without_controllers_serve_those_who_need_none() {
        let (assets, built) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in API {
            std::fs::write(assets.path().join(name), "").unwrap();
        }
        for name in API.iter().chain(&CONTROLLERS) {
            std::fs::write(built.path().join(name), "").unwrap();
        }
        let origins = [assets.path(), built.path()].map(|path| Programs::Folder(path.to_owned()));
        let first = |controllers| Programs::first(origins.iter().cloned(), controllers);
        assert_eq!([first(false), first(true)], origins.clone().map(Some));
        assert_eq!(Programs::first(std::iter::empty(), false), None);
    }
}
