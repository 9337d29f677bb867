//! Settings: defaults < file < environment < flags.
//!
//! ```text
//! layer     one source's settings as paths and values; onto what is there, refusing what is unknown or of another type
//! suggest   the nearest known name
//! print     the effective settings, secrets redacted
//! range     a value of the right type that can't be used
//! ```
//!
//! What is known is what `T::default()` serialises to and what `T` reads, so there is one list of settings: the structs,
//! which have to deny unknown fields. An empty map in the defaults takes any key.

mod error;
mod layer;
mod print;
mod range;
mod suggest;

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use error::ConfigError;
pub use print::print;
pub use range::{OutOfRange, in_range};
pub use suggest::nearest;

/// Where settings come from, the weakest first. Defaults are the type's.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A YAML file with one section a part.
    pub file: Option<PathBuf>,
    /// Variables and values; those that don't begin with the prefix are ignored.
    pub env: Vec<(String, String)>,
    /// Such as `GOCHAT`: then `GOCHAT_MQ__BOOTSTRAP` is `mq.bootstrap`.
    pub env_prefix: &'static str,
    /// `--set mq.bootstrap=…`, split at the first `=`.
    pub sets: Vec<(String, String)>,
}

impl Sources {
    /// With the environment of this process.
    pub fn of_process(file: Option<PathBuf>, env_prefix: &'static str, sets: Vec<(String, String)>) -> Self {
        // A variable that is not UTF-8 is not ours.
        let env =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self { file, env: env.collect(), env_prefix, sets }
    }
}

/// The effective settings.
pub fn load<T: Serialize + DeserializeOwned + Default>(sources: &Sources) -> Result<T, ConfigError> {
    let known = defaults::<T>()?;
    let mut value = known.clone();
    if let Some(path) = &sources.file {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
        let from = path.display().to_string();
        layer::document::<T>(&known, &mut value, &text, &from)?;
    }
    for (name, text) in &sources.env {
        if let Some(path) = layer::env_path(&known, sources.env_prefix, name)? {
            layer::scalar::<T>(&known, &mut value, &path, text, &format!("environment variable {name}"))?;
        }
    }
    for (key, text) in &sources.sets {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        layer::scalar::<T>(&known, &mut value, &path, text, "--set")?;
    }
    read(value, "settings")
}

/// One YAML document onto `T::default()`; `from` names it in errors.
pub fn parse<T: Serialize + DeserializeOwned + Default>(text: &str, from: &str) -> Result<T, ConfigError> {
    let known = defaults::<T>()?;
    let mut value = known.clone();
    layer::document::<T>(&known, &mut value, text, from)?;
    read(value, from)
}

fn defaults<T: Serialize + Default>() -> Result<Value, ConfigError> {
    serde_json::to_value(T::default())
        .map_err(|e| ConfigError::Malformed { from: "defaults".to_owned(), reason: e.to_string() })
}

fn read<T: DeserializeOwned>(value: Value, from: &str) -> Result<T, ConfigError> {
    T::deserialize(value).map_err(|e| ConfigError::Malformed { from: from.to_owned(), reason: e.to_string() })
}

#[cfg(test)]
mod tests;
