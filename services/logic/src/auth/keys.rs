//! The keys that sign tokens: the first one signs, all verify, so that keys rotate without logging anybody out.
//!
//! To rotate: put the new key first and keep the old one until the longest-lived token it signed is over.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use gochat_chassis::Shutdown;
use jsonwebtoken::{DecodingKey, EncodingKey};

use crate::config::AuthConfig;

/// HS256's output is 32 bytes; a shorter key is the weakest part (RFC 7518, 3.2).
const LEAST_KEY_BYTES: usize = 32;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum KeysError {
    #[error(
        "no key to sign tokens with: set logic.auth.keys_file to a file with lines `kid: base64 key`, \
         or, in development, logic.auth.secret"
    )]
    Missing,
    #[error("logic.auth.keys_file {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("logic.auth.keys_file line {line}: {problem}")]
    Line { line: usize, problem: &'static str },
    #[error("logic.auth.keys_file: no key in it")]
    Empty,
    #[error("logic.auth.secret: {LEAST_KEY_BYTES} bytes at least")]
    ShortSecret,
}

/// One generation of keys.
pub(crate) struct Keys {
    pub(crate) signing_kid: String,
    pub(crate) signing: EncodingKey,
    pub(crate) verifying: HashMap<String, DecodingKey>,
    /// What they were read from, to see a change by.
    text: String,
}

impl Keys {
    fn one(kid: &str, key: &[u8]) -> Self {
        Self {
            signing_kid: kid.to_owned(),
            signing: EncodingKey::from_secret(key),
            verifying: HashMap::from([(kid.to_owned(), DecodingKey::from_secret(key))]),
            text: String::new(),
        }
    }

    /// `kid: base64 key` a line; empty lines and `#` comments are skipped.
    pub(crate) fn parse(text: &str) -> Result<Self, KeysError> {
        let mut keys: Option<Self> = None;
        for (line, content) in (1..).zip(text.lines()) {
            let content = content.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let problem = |problem| KeysError::Line { line, problem };
            let (kid, key) = content.split_once(':').ok_or_else(|| problem("not `kid: base64 key`"))?;
            let (kid, key) = (kid.trim().trim_matches('"'), key.trim().trim_matches('"'));
            let key = BASE64_STANDARD
                .decode(key)
                .or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(key))
                .map_err(|_| problem("the key is not base64"))?;
            if kid.is_empty() {
                return Err(problem("the kid is empty"));
            }
            if key.len() < LEAST_KEY_BYTES {
                return Err(problem("the key is shorter than 32 bytes"));
            }
            match &mut keys {
                None => keys = Some(Self::one(kid, &key)),
                Some(keys) => {
                    if keys.verifying.insert(kid.to_owned(), DecodingKey::from_secret(&key)).is_some() {
                        return Err(problem("the kid is there twice"));
                    }
                }
            }
        }
        let mut keys = keys.ok_or(KeysError::Empty)?;
        text.clone_into(&mut keys.text);
        Ok(keys)
    }
}

/// The current keys; cheap to clone.
#[derive(Clone)]
pub(crate) struct KeyRing(Arc<ArcSwap<Keys>>);

impl KeyRing {
    /// Reads the keys; none is an error, since a made-up key would log everybody out at each start.
    pub(crate) async fn open(config: &AuthConfig) -> Result<Self, KeysError> {
        let keys = match &config.keys_file {
            Some(path) => Keys::parse(&read(path).await?)?,
            None if config.secret.is_empty() => return Err(KeysError::Missing),
            None if config.secret.len() < LEAST_KEY_BYTES => return Err(KeysError::ShortSecret),
            None => Keys::one("inline", config.secret.as_bytes()),
        };
        Ok(Self(Arc::new(ArcSwap::from_pointee(keys))))
    }

    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Keys::parse(text).unwrap())))
    }

    pub(crate) fn current(&self) -> Arc<Keys> {
        self.0.load_full()
    }

    pub(crate) fn replace(&self, keys: Keys) {
        self.0.store(Arc::new(keys));
    }

    /// Follows the file until shutdown. Polled, not notified: a mounted Secret changes by swapping symlinks of folders.
    pub(crate) async fn follow(self, path: PathBuf, every: Duration, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = shutdown.wait() => return,
            }
            match self.refresh(&path).await {
                Ok(false) => {}
                Ok(true) => tracing::info!(signing_kid = self.current().signing_kid, "token keys changed"),
                Err(error) => tracing::warn!(%error, "token keys not taken; the old ones stay"),
            }
        }
    }

    /// Reads the file again; whether it has other keys now.
    async fn refresh(&self, path: &Path) -> Result<bool, KeysError> {
        let text = read(path).await?;
        if text == self.current().text {
            return Ok(false);
        }
        self.replace(Keys::parse(&text)?);
        Ok(true)
    }
}

async fn read(path: &Path) -> Result<String, KeysError> {
    tokio::fs::read_to_string(path).await.map_err(|source| KeysError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_key_nothing_starts_and_the_message_says_what_to_set() {
        let error = KeyRing::open(&AuthConfig::default()).await.err().unwrap();
        assert!(error.to_string().contains("logic.auth.keys_file"), "{error}");
        let short = AuthConfig { secret: "short".into(), ..AuthConfig::default() };
        assert!(matches!(KeyRing::open(&short).await, Err(KeysError::ShortSecret)));
    }

    #[test]
    fn the_first_key_signs_and_a_short_double_or_malformed_one_is_named_by_its_line() {
        let key = BASE64_STANDARD.encode([7u8; 32]);
        let keys = Keys::parse(&format!("# rotated in May\nnew: {key}\n\n\"old\": \"{key}\"\n")).unwrap();
        assert_eq!(keys.signing_kid, "new");
        assert_eq!(keys.verifying.len(), 2);
        for bad in
            [format!("new: {key}\nnew: {key}"), format!("a: {key}\nb: AAAA"), format!("a: {key}\nb {key}")]
        {
            assert!(matches!(Keys::parse(&bad), Err(KeysError::Line { line: 2, .. })), "{bad}");
        }
        assert!(matches!(Keys::parse("# none"), Err(KeysError::Empty)));
    }

    #[tokio::test]
    async fn a_changed_file_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let key = BASE64_STANDARD.encode([7u8; 32]);
        std::fs::write(&path, format!("one: {key}")).unwrap();
        let config = AuthConfig { keys_file: Some(path.clone()), ..AuthConfig::default() };
        let ring = KeyRing::open(&config).await.unwrap();
        assert!(!ring.refresh(&path).await.unwrap());
        std::fs::write(&path, "broken").unwrap();
        assert!(ring.refresh(&path).await.is_err());
        assert_eq!(ring.current().signing_kid, "one");
        std::fs::write(&path, format!("two: {key}\none: {key}")).unwrap();
        assert!(ring.refresh(&path).await.unwrap());
        assert_eq!((ring.current().signing_kid.as_str(), ring.current().verifying.len()), ("two", 2));
    }
}
