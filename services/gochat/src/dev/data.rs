//! What dev keeps between runs: one folder.
//!
//! ```text
//! .gochat/
//!   lock         held while a dev runs on it
//!   gochat.db    SQLite
//!   log/         the embedded log
//!   secret       signs tokens; mode 0600
//! ```

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The folder, locked; or memory.
pub(super) struct Data {
    folder: Option<(PathBuf, File)>,
    secret: String,
}

impl Data {
    /// Nothing outlives the process.
    pub(super) fn in_memory() -> Self {
        Self { folder: None, secret: new_secret() }
    }

    /// Makes the folder where there is none; refuses one that another dev uses.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let lock =
            File::create(folder.join("lock")).with_context(|| format!("write to {}", folder.display()))?;
        if lock.try_lock().is_err() {
            bail!(
                "{} is used by another `gochat dev`: stop it, or give this one its own --data or --ephemeral",
                folder.display()
            );
        }
        let secret = secret(&folder.join("secret"))?;
        Ok(Self { folder: Some((folder.to_owned(), lock)), secret })
    }

    /// As settings.
    pub(super) fn settings(&self) -> Vec<(String, String)> {
        let mut settings = vec![("logic.auth.secret".to_owned(), self.secret.clone())];
        if let Some((folder, _)) = &self.folder {
            settings.push(("db.url".to_owned(), format!("sqlite://{}", folder.join("gochat.db").display())));
            settings.push(("mq.path".to_owned(), folder.join("log").display().to_string()));
        }
        settings
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.folder {
            Some((folder, _)) => write!(f, "in {}", folder.display()),
            None => f.write_str("in memory, gone when this ends"),
        }
    }
}

/// The kept one, or a new one: so that sessions outlive a restart.
fn secret(path: &Path) -> anyhow::Result<String> {
    if let Ok(kept) = fs::read_to_string(path)
        && kept.trim().len() >= 32
    {
        return Ok(kept.trim().to_owned());
    }
    let secret = new_secret();
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("write {}", path.display()))?;
    writeln!(file, "{secret}").with_context(|| format!("write {}", path.display()))?;
    Ok(secret)
}

/// 256 bits as text that is no number to YAML.
fn new_secret() -> String {
    format!("dev-{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_signing_key_is_kept_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Data::open(folder.path()).unwrap().secret;
        assert_eq!(Data::open(folder.path()).unwrap().secret, first);
        let mode = fs::metadata(folder.path().join("secret")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_folder_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let _used = Data::open(folder.path()).unwrap();
        assert!(Data::open(folder.path()).err().unwrap().to_string().contains("another `gochat dev`"));
    }
}
