//! Password hashes: argon2id on blocking threads, a bounded number at a time.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::config::AuthConfig;
use crate::error::Refusal;

/// A login that waits longer than this for its turn is better told to come back.
const LONGEST_QUEUE: Duration = Duration::from_secs(5);

/// Hashes and verifies passwords; cheap to clone.
#[derive(Clone)]
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    turns: Arc<Semaphore>,
    /// Of a password nobody has: what an unknown name is verified against, so that it costs what a known one costs.
    dummy: Arc<str>,
}

impl Passwords {
    pub(crate) async fn new(config: &AuthConfig) -> anyhow::Result<Self> {
        let params = Params::new(config.password_memory_kib, config.password_passes, 1, None)
            .map_err(|error| anyhow::anyhow!("logic.auth.password_*: {error}"))?;
        let parallel = match config.password_parallel {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            n => n,
        };
        let mut passwords = Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            turns: Arc::new(Semaphore::new(parallel)),
            dummy: "".into(),
        };
        let nobodys: [u8; 16] = rand::random();
        passwords.dummy = passwords.hash(format!("{nobodys:?}")).await?.into();
        Ok(passwords)
    }

    /// A PHC string with a salt of its own.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Refusal> {
        let argon2 = self.argon2.clone();
        self.in_turn(move || {
            argon2.hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(|error| {
                tracing::error!(%error, "a password was not hashed");
                Refusal::Internal
            })
        })
        .await?
    }

    /// Whether the password is the hash's; `None` is an unknown user and costs the same.
    pub(crate) async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Refusal> {
        let argon2 = self.argon2.clone();
        let dummy = self.dummy.clone();
        self.in_turn(move || {
            let known = hash.is_some();
            let hash = hash.as_deref().unwrap_or(&dummy);
            let fits = PasswordHash::new(hash)
                .is_ok_and(|parsed| argon2.verify_password(password.as_bytes(), &parsed).is_ok());
            fits && known
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = tokio::time::timeout(LONGEST_QUEUE, self.turns.clone().acquire_owned())
            .await
            .map_err(|_| Refusal::Overloaded)?
            .map_err(|_| Refusal::Internal)?;
        // The turn ends with the work, not with the caller: a caller that goes away doesn't stop the hashing.
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        })
        .await
        .map_err(|_| Refusal::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_fits() {
        let config = AuthConfig { password_memory_kib: 8_192, password_passes: 1, ..AuthConfig::default() };
        let passwords = Passwords::new(&config).await.unwrap();
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert_eq!(passwords.verify("correct horse".into(), Some(hash.clone())).await, Ok(true));
        assert_eq!(passwords.verify("wrong horse".into(), Some(hash)).await, Ok(false));
        assert_eq!(passwords.verify("correct horse".into(), None).await, Ok(false));
        assert_eq!(passwords.verify("correct horse".into(), Some("garbage".into())).await, Ok(false));
    }
}
