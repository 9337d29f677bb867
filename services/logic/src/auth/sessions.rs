//! Sessions: what makes a token revocable before it expires. Cached everywhere; a logout invalidates everywhere.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gochat_cache::{Cache, CacheLayer};
use gochat_core::{SessionId, UserId};
use gochat_proto::repo;
use tonic::{Code, Status};

use crate::error::Refusal;
use crate::repo_clients::Repo;

/// How long Redis may keep a session; an invalidation that is lost is healed by it.
const CACHED_FOR: Duration = Duration::from_mins(10);

/// Reads sessions through the cache; cheap to clone.
#[derive(Clone)]
pub(crate) struct Sessions {
    cache: Cache<repo::Session>,
    repo: Repo,
}

impl Sessions {
    pub(crate) fn new(layer: &CacheLayer, repo: Repo) -> Self {
        Self { cache: layer.cache("session", CACHED_FOR), repo }
    }

    /// The session, if it lives and is the user's.
    pub(crate) async fn living(&self, user: UserId, id: SessionId) -> Result<Arc<repo::Session>, Refusal> {
        let session = self.get(id).await?.ok_or(Refusal::SessionRevoked)?;
        if session.user_id != user.get() || session.revoked || session.expires_at_ms <= now_ms() {
            return Err(Refusal::SessionRevoked);
        }
        Ok(session)
    }

    /// The session, living or not.
    pub(crate) async fn get(&self, id: SessionId) -> Result<Option<Arc<repo::Session>>, Refusal> {
        let repo = self.repo.clone();
        let load = async move {
            let mut users = repo.users();
            match repo.ask(users.get_session(repo::GetSessionRequest { session_id: id.get() })).await {
                Ok(session) => Ok(Some(session)),
                Err(status) if status.code() == Code::NotFound => Ok(None),
                Err(status) => Err::<_, Status>(status),
            }
        };
        self.cache.get_or_load(id.get(), load).await.map_err(|status| Refusal::from_repo(&status))
    }

    /// Forgets what is cached, here and in every other logic.
    pub(crate) async fn changed(&self, id: SessionId) {
        self.cache.invalidate(id.get()).await;
    }
}

/// Unix milliseconds; for people and expiry only.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
