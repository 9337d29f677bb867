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
#[derive(Clone, Debug)]
pub(super) enum Programs {
    Folder(PathBuf),
    Path,
}

impl Programs {
    /// The first origin that has all that is needed: the user's own before ours.
    pub(super) fn find(controllers: bool) -> Result<Self> {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(|folder| Self::Folder(folder.into()));
        let built = Self::Folder(folder::cache().join(format!("kubernetes-{VERSION}")));
        assets
            .into_iter()
            .chain([Self::Path, built])
            .find(|programs| programs.has(&API) && (!controllers || programs.has(&CONTROLLERS)))
            .context("no Kubernetes programs here (run e2e/engines/install.sh kubernetes)")
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
