//! What is wrong with a setting: always which one, where it stands and what would be right.

use std::path::PathBuf;

/// Settings that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("settings file {path:?} can't be read")]
    Unreadable {
        /// Of the file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not YAML, or not a map.
    #[error("{from}: {reason}")]
    Malformed {
        /// Where it stands.
        from: String,
        /// With line and column where there are some.
        reason: String,
    },
    /// There is no such setting.
    #[error("unknown setting `{key}` in {from}{}", hint(.nearest.as_deref(), .known))]
    Unknown {
        /// Its full path.
        key: String,
        /// Where it stands.
        from: String,
        /// The full path of the most similar one.
        nearest: Option<String>,
        /// All that there are beside it.
        known: Vec<String>,
    },
    /// The value has another type or is out of range.
    #[error("`{key}` in {from}: {reason}")]
    Value {
        /// The setting's full path.
        key: String,
        /// Where it stands.
        from: String,
        /// What was found and what is expected.
        reason: String,
    },
    /// A variable that would be a setting with one more underscore.
    #[error("environment variable {name} is not a setting; did you mean `{meant}`?")]
    Underscore {
        /// As it is set.
        name: String,
        /// As it should be.
        meant: String,
    },
}

fn hint(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => format!("; there is {}", known.join(", ")),
    }
}
