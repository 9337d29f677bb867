//! `logic.v1.AuthService`: register, log in, refresh, log out, validate.

use std::time::Duration;

use futures::future::join_all;
use gochat_core::{SessionId, UserId};
use gochat_proto::logic::auth_service_server::AuthService;
use gochat_proto::logic::validate_request::Token;
use gochat_proto::logic::validated::Result as Validated;
use gochat_proto::{logic, repo, types};
use gochat_uid::Snowflake;
use tonic::{Code, Request, Response, Status, async_trait};

use super::Passwords;
use super::names;
use super::sessions::{Sessions, now_ms};
use super::tokens::{Audience, RefreshToken, Tokens};
use crate::error::Refusal;
use crate::notify::Notifier;
use crate::repo_clients::Repo;

/// Tokens in one call.
const MOST_TOKENS: usize = 256;

/// The service; its parts are cheap to clone.
pub(crate) struct Auth {
    pub(crate) repo: Repo,
    pub(crate) ids: Snowflake,
    pub(crate) passwords: Passwords,
    pub(crate) tokens: Tokens,
    pub(crate) sessions: Sessions,
    pub(crate) notifier: Notifier,
    pub(crate) session_lifetime: Duration,
}

impl Auth {
    async fn new_id(&self) -> Result<u64, Refusal> {
        self.ids.next().await.map_err(|error| {
            tracing::warn!(%error, "no id");
            Refusal::Unavailable("the id service")
        })
    }

    async fn register(&self, asked: logic::RegisterRequest) -> Result<logic::TokenPair, Refusal> {
        names::check_name(&asked.name)?;
        names::check_password(&asked.password)?;
        let display_name = names::display_name(&asked.display_name, &asked.name)?;
        let password_hash = self.passwords.hash(asked.password).await?;
        let request = repo::CreateUserRequest {
            user_id: self.new_id().await?,
            name: asked.name.clone(),
            display_name,
            password_hash,
        };
        let user = match self.repo.ask(self.repo.users().create_user(request)).await {
            Ok(user) => user,
            Err(status) if status.code() == Code::AlreadyExists => {
                return Err(Refusal::NameTaken(asked.name));
            }
            Err(status) => return Err(Refusal::from_repo(&status)),
        };
        self.open_session(user, &asked.device).await
    }

    async fn login(&self, asked: logic::LoginRequest) -> Result<logic::TokenPair, Refusal> {
        // What can't be a password or a name is not worth a hash, and says nothing about who exists.
        names::check_name(&asked.name).map_err(|_| Refusal::BadCredentials)?;
        if asked.password.len() > 128 {
            return Err(Refusal::BadCredentials);
        }
        let request = repo::GetCredentialsRequest { name: asked.name };
        let found = match self.repo.ask(self.repo.users().get_credentials(request)).await {
            Ok(found) => Some(found),
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => return Err(Refusal::from_repo(&status)),
        };
        let hash = found.as_ref().map(|found| found.password_hash.clone());
        let fits = self.passwords.verify(asked.password, hash).await?;
        let user = found.and_then(|found| found.user).filter(|_| fits).ok_or(Refusal::BadCredentials)?;
        self.open_session(user, &asked.device).await
    }

    async fn open_session(&self, user: types::User, device: &str) -> Result<logic::TokenPair, Refusal> {
        let id = self.new_id().await?;
        let session = SessionId::new(id).ok_or(Refusal::Internal)?;
        let refresh = RefreshToken::new(session);
        let request = repo::CreateSessionRequest {
            session: Some(repo::Session {
                session_id: id,
                user_id: user.user_id,
                device: names::device(device),
                expires_at_ms: self.session_end(),
                revoked: false,
            }),
            refresh_hash: refresh.hash().into(),
        };
        self.repo
            .ask(self.repo.users().create_session(request))
            .await
            .map_err(|status| Refusal::from_repo(&status))?;
        self.pair(user, session, &refresh)
    }

    async fn refresh(&self, asked: logic::RefreshRequest) -> Result<logic::TokenPair, Refusal> {
        let old = RefreshToken::parse(&asked.refresh_token)?;
        let new = RefreshToken::new(old.session);
        let request = repo::RotateSessionRequest {
            session_id: old.session.get(),
            old_refresh_hash: old.hash().into(),
            new_refresh_hash: new.hash().into(),
            expires_at_ms: self.session_end(),
        };
        let session = match self.repo.ask(self.repo.users().rotate_session(request)).await {
            Ok(session) => session,
            Err(status) => match status.code() {
                // A refresh token that was used before: it was stolen, or its thief was here first. Either way the
                // session ends now (RFC 9700, 4.14.2).
                Code::FailedPrecondition => {
                    self.end_everywhere(old.session).await;
                    return Err(Refusal::SessionRevoked);
                }
                Code::NotFound => return Err(Refusal::TokenInvalid),
                _ => return Err(Refusal::from_repo(&status)),
            },
        };
        self.sessions.changed(old.session).await;
        let request = repo::FindUsersRequest { user_ids: vec![session.user_id], ..Default::default() };
        let found = self.repo.ask(self.repo.users().find_users(request)).await;
        let user = found.map_err(|status| Refusal::from_repo(&status))?.users.into_iter().next();
        self.pair(user.ok_or(Refusal::SessionRevoked)?, old.session, &new)
    }

    async fn logout(&self, asked: logic::LogoutRequest) -> Result<(), Refusal> {
        let user = UserId::new(asked.user_id).ok_or_else(|| Refusal::field("user_id", "not set"))?;
        let session =
            SessionId::new(asked.session_id).ok_or_else(|| Refusal::field("session_id", "not set"))?;
        let request = repo::RevokeSessionRequest { session_id: session.get(), user_id: user.get() };
        match self.repo.ask(self.repo.users().revoke_session(request)).await {
            Ok(_) => {}
            Err(status) if matches!(status.code(), Code::NotFound | Code::PermissionDenied) => {
                return Err(Refusal::SessionRevoked);
            }
            Err(status) => return Err(Refusal::from_repo(&status)),
        }
        self.sessions.changed(session).await;
        self.notifier.session_revoked(user, session).await;
        Ok(())
    }

    /// After repo has revoked a session: forget it and close its connections.
    async fn end_everywhere(&self, session: SessionId) {
        self.sessions.changed(session).await;
        tracing::warn!(%session, "a refresh token was used twice; its session is revoked");
        if let Ok(Some(ended)) = self.sessions.get(session).await
            && let Some(user) = UserId::new(ended.user_id)
        {
            self.notifier.session_revoked(user, session).await;
        }
    }

    async fn validate(&self, asked: logic::ValidateRequest) -> Result<logic::Identity, Refusal> {
        let grant = match asked.token {
            Some(Token::AccessToken(token)) => self.tokens.check(Audience::Access, &token)?,
            Some(Token::ResumeToken(token)) => self.tokens.check(Audience::Resume, &token)?,
            None => return Err(Refusal::field("token", "not set")),
        };
        self.sessions.living(grant.user, grant.session).await?;
        let resume_token = if asked.issue_resume_token {
            self.tokens.issue(Audience::Resume, grant.user, grant.session)?.0
        } else {
            String::new()
        };
        Ok(logic::Identity {
            user_id: grant.user.get(),
            session_id: grant.session.get(),
            expires_at_ms: grant.expires_at_ms,
            resume_token,
        })
    }

    fn pair(
        &self,
        user: types::User,
        session: SessionId,
        refresh: &RefreshToken,
    ) -> Result<logic::TokenPair, Refusal> {
        let user_id = UserId::new(user.user_id).ok_or(Refusal::Internal)?;
        let (access_token, expires_at_ms) = self.tokens.issue(Audience::Access, user_id, session)?;
        Ok(logic::TokenPair {
            user: Some(user),
            session_id: session.get(),
            access_token,
            refresh_token: refresh.encode(),
            expires_at_ms,
        })
    }

    fn session_end(&self) -> i64 {
        now_ms().saturating_add(i64::try_from(self.session_lifetime.as_millis()).unwrap_or(i64::MAX))
    }
}

#[async_trait]
impl AuthService for Auth {
    async fn register(
        &self,
        request: Request<logic::RegisterRequest>,
    ) -> Result<Response<logic::TokenPair>, Status> {
        Ok(Response::new(Self::register(self, request.into_inner()).await?))
    }

    async fn login(
        &self,
        request: Request<logic::LoginRequest>,
    ) -> Result<Response<logic::TokenPair>, Status> {
        let outcome = Self::login(self, request.into_inner()).await;
        let result = outcome.as_ref().map_or_else(Refusal::code, |_| "ok");
        metrics::counter!("gochat_logic_logins_total", "result" => result).increment(1);
        Ok(Response::new(outcome?))
    }

    async fn refresh(
        &self,
        request: Request<logic::RefreshRequest>,
    ) -> Result<Response<logic::TokenPair>, Status> {
        Ok(Response::new(Self::refresh(self, request.into_inner()).await?))
    }

    async fn logout(
        &self,
        request: Request<logic::LogoutRequest>,
    ) -> Result<Response<logic::LogoutResponse>, Status> {
        Self::logout(self, request.into_inner()).await?;
        Ok(Response::new(logic::LogoutResponse {}))
    }

    async fn validate(
        &self,
        request: Request<logic::ValidateRequest>,
    ) -> Result<Response<logic::Identity>, Status> {
        Ok(Response::new(Self::validate(self, request.into_inner()).await?))
    }

    async fn validate_many(
        &self,
        request: Request<logic::ValidateManyRequest>,
    ) -> Result<Response<logic::ValidateManyResponse>, Status> {
        let requests = request.into_inner().requests;
        if requests.len() > MOST_TOKENS {
            return Err(Refusal::field("requests", format!("more than {MOST_TOKENS}")).into());
        }
        // Nearly all are answered by the cache: what these futures do at once is to find that out.
        let results = join_all(requests.into_iter().map(|asked| Self::validate(self, asked))).await;
        let results = results.into_iter().map(|result| logic::Validated {
            result: Some(
                result.map_or_else(|refusal| Validated::Refused(refusal.into()), Validated::Identity),
            ),
        });
        Ok(Response::new(logic::ValidateManyResponse { results: results.collect() }))
    }
}
