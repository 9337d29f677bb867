//! What callers can match on.

use crate::store::StoreError;

/// What coordination could not do.
#[derive(Debug, thiserror::Error)]
pub enum CoordError {
    /// Settings that can't be used, by name.
    #[error("{0}")]
    Config(String),
    /// The backend is away or refused.
    #[error("{what}: {reason}")]
    Unavailable {
        /// What was tried.
        what: String,
        /// As the backend said it.
        reason: String,
    },
    /// Somebody else holds it.
    #[error("{key} is held by {holder}")]
    Held {
        /// What was wanted.
        key: String,
        /// The value that its holder gave.
        holder: String,
    },
}

impl CoordError {
    pub(crate) fn unavailable(what: &str, key: &str, error: &StoreError) -> Self {
        metrics::counter!("gochat_coord_unavailable_total", "what" => what.to_owned()).increment(1);
        let what = if key.is_empty() { what.to_owned() } else { format!("{what} {key}") };
        Self::Unavailable { what, reason: error.to_string() }
    }

    pub(crate) fn held(key: &str, holder: &[u8]) -> Self {
        Self::Held { key: key.to_owned(), holder: String::from_utf8_lossy(holder).into_owned() }
    }
}
