//! The HTTP API under `/api/v1`: accounts, people, conversations, history.
//!
//! Nothing is retried here: a caller knows whether its request may be made twice.

use std::time::Duration;

use gochat_proto::types::{Conversation, Member, Message, Role, User};
use parking_lot::RwLock;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A password hash on a busy server takes a while.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The server said no.
    #[error("{code}: {text} ({fix})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// A word of docs/protocol.md.
        code: String,
        /// For people.
        text: String,
        /// What to do about it.
        fix: String,
    },
    /// No answer, or one that is not ours.
    #[error("request to {url}: {source}")]
    Http {
        /// Which request.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
}

impl ApiError {
    /// The server's error code, where it answered.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Http { .. } => None,
        }
    }
}

/// One login of one device.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Who.
    pub user: User,
    /// What logout ends.
    #[serde(with = "decimal")]
    pub session_id: u64,
    /// For the API and for `hello`; short-lived.
    pub access_token: String,
    /// Good once, for a new pair.
    pub refresh_token: String,
    /// End of the access token's life, Unix milliseconds.
    #[serde(with = "decimal")]
    pub expires_at_ms: u64,
}

#[derive(Deserialize)]
#[serde(default)]
struct Refusal {
    code: String,
    text: String,
    fix: String,
}

impl Default for Refusal {
    fn default() -> Self {
        Self { code: "unavailable".into(), text: "no readable answer".into(), fix: "try again later".into() }
    }
}

#[derive(Deserialize)]
struct UsersAnswer {
    #[serde(default)]
    users: Vec<User>,
}

/// A page of conversations.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConversationPage {
    /// As the caller sees them.
    pub conversations: Vec<Conversation>,
    /// Empty: that was the last page.
    pub next_page: String,
}

/// A page of members.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MemberPage {
    /// By rising user id.
    pub members: Vec<Member>,
    /// Their names.
    pub users: Vec<User>,
    /// There are more after the last of these.
    pub more: bool,
}

/// A page of history.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MessagePage {
    /// By rising seq.
    pub messages: Vec<Message>,
    /// There are more, in the direction asked.
    pub more: bool,
    /// Of the conversation.
    #[serde(with = "decimal")]
    pub last_seq: u64,
}

/// Talks to one gateway, or to a load balancer before several. Keeps the access token of the last login.
pub struct Api {
    base: String,
    http: reqwest::Client,
    access_token: RwLock<String>,
}

impl Api {
    /// `base` is `http://host:port` or `https://…`.
    pub fn new(base: &str) -> Result<Self, ApiError> {
        // Whoever installed one first is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(TIMEOUT).build();
        let base = format!("{}/api/v1", base.trim_end_matches('/'));
        match http {
            Ok(http) => Ok(Self { base, http, access_token: RwLock::default() }),
            Err(source) => Err(ApiError::Http { url: base, source }),
        }
    }

    /// The same connections with another access token.
    #[must_use]
    pub fn with_token(&self, access_token: impl Into<String>) -> Self {
        Self {
            base: self.base.clone(),
            http: self.http.clone(),
            access_token: RwLock::new(access_token.into()),
        }
    }

    /// Creates a user and logs it in.
    pub async fn register(&self, name: &str, password: &str, device: &str) -> Result<Account, ApiError> {
        let body = json!({ "name": name, "password": password, "displayName": name, "device": device });
        Ok(self.keep(self.call(Method::POST, "register", &[], Some(body)).await?))
    }

    /// Starts a session.
    pub async fn login(&self, name: &str, password: &str, device: &str) -> Result<Account, ApiError> {
        let body = json!({ "name": name, "password": password, "device": device });
        Ok(self.keep(self.call(Method::POST, "login", &[], Some(body)).await?))
    }

    /// A new pair for a refresh token, which is good once.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Account, ApiError> {
        let body = json!({ "refreshToken": refresh_token });
        Ok(self.keep(self.call(Method::POST, "refresh", &[], Some(body)).await?))
    }

    /// Ends this session.
    pub async fn logout(&self) -> Result<(), ApiError> {
        self.call::<Value>(Method::POST, "logout", &[], Some(json!({}))).await.map(|_| ())
    }

    /// Who we are.
    pub async fn me(&self) -> Result<User, ApiError> {
        self.call(Method::GET, "me", &[], None).await
    }

    /// The user of exactly this name.
    pub async fn user_named(&self, name: &str) -> Result<User, ApiError> {
        let found: UsersAnswer = self.call(Method::GET, "users", &[("name", name.into())], None).await?;
        found.users.into_iter().next().ok_or_else(|| ApiError::Refused {
            status: StatusCode::NOT_FOUND.as_u16(),
            code: "no_such_user".into(),
            text: format!("nobody is called {name:?}"),
            fix: "check the spelling".into(),
        })
    }

    /// The direct chat with a user; the one that exists where there is one.
    pub async fn create_direct(&self, peer_id: u64) -> Result<Conversation, ApiError> {
        let body = json!({ "peerId": peer_id.to_string() });
        self.call(Method::POST, "conversations", &[], Some(body)).await
    }

    /// A group of the caller and these.
    pub async fn create_group(&self, title: &str, member_ids: &[u64]) -> Result<Conversation, ApiError> {
        let body = json!({ "title": title, "memberIds": strings(member_ids) });
        self.call(Method::POST, "conversations", &[], Some(body)).await
    }

    /// A page of the caller's conversations; empty `page`: the first.
    pub async fn conversations(&self, page: &str) -> Result<ConversationPage, ApiError> {
        self.call(Method::GET, "conversations", &[("page", page.into())], None).await
    }

    /// One conversation as the caller sees it.
    pub async fn conversation(&self, conversation: u64) -> Result<Conversation, ApiError> {
        self.call(Method::GET, &format!("conversations/{conversation}"), &[], None).await
    }

    /// MemberPage after a user id (0: from the first).
    pub async fn members(&self, conversation: u64, after: u64) -> Result<MemberPage, ApiError> {
        let path = format!("conversations/{conversation}/members");
        self.call(Method::GET, &path, &[("after", after.to_string())], None).await
    }

    /// Adds members to a group.
    pub async fn add_members(&self, conversation: u64, member_ids: &[u64]) -> Result<Conversation, ApiError> {
        let path = format!("conversations/{conversation}/members");
        self.call(Method::POST, &path, &[], Some(json!({ "memberIds": strings(member_ids) }))).await
    }

    /// Removes a member, or leaves.
    pub async fn remove_member(&self, conversation: u64, user: u64) -> Result<(), ApiError> {
        let path = format!("conversations/{conversation}/members/{user}");
        self.call::<Value>(Method::DELETE, &path, &[], None).await.map(|_| ())
    }

    /// Changes a member's role.
    pub async fn set_role(&self, conversation: u64, user: u64, role: Role) -> Result<(), ApiError> {
        let path = format!("conversations/{conversation}/members/{user}/role");
        self.call::<Value>(Method::PUT, &path, &[], Some(json!({ "role": role }))).await.map(|_| ())
    }

    /// History upwards after a seq (0: from the first).
    pub async fn messages_after(
        &self,
        conversation: u64,
        seq: u64,
        limit: u32,
    ) -> Result<MessagePage, ApiError> {
        let query = [("after", seq.to_string()), ("limit", limit.to_string())];
        self.call(Method::GET, &format!("conversations/{conversation}/messages"), &query, None).await
    }

    /// History downwards before a seq.
    pub async fn messages_before(
        &self,
        conversation: u64,
        seq: u64,
        limit: u32,
    ) -> Result<MessagePage, ApiError> {
        let query = [("before", seq.to_string()), ("limit", limit.to_string())];
        self.call(Method::GET, &format!("conversations/{conversation}/messages"), &query, None).await
    }

    /// Moves the read cursor.
    pub async fn mark_read(&self, conversation: u64, seq: u64) -> Result<(), ApiError> {
        let body = json!({ "seq": seq.to_string() });
        let path = format!("conversations/{conversation}/read");
        self.call::<Value>(Method::POST, &path, &[], Some(body)).await.map(|_| ())
    }

    fn keep(&self, account: Account) -> Account {
        account.access_token.clone_into(&mut self.access_token.write());
        account
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<Value>,
    ) -> Result<T, ApiError> {
        let url = format!("{}/{path}", self.base);
        let http = |source: reqwest::Error| ApiError::Http { url: url.clone(), source: source.without_url() };
        let mut request = self.http.request(method, &url);
        if !query.is_empty() {
            request = request.query(query);
        }
        let token = self.access_token.read().clone();
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(http)?;
        let status = response.status();
        if !status.is_success() {
            let Refusal { code, text, fix } = response.json().await.unwrap_or_default();
            return Err(ApiError::Refused { status: status.as_u16(), code, text, fix });
        }
        if status == StatusCode::NO_CONTENT {
            // `null` and `{}` are what the callers without an answer read.
            return serde_json::from_value(Value::Null).map_err(|e| ApiError::Refused {
                status: status.as_u16(),
                code: "unavailable".into(),
                text: format!("an answer without content where one was expected: {e}"),
                fix: "use a client of the server's version".into(),
            });
        }
        response.json().await.map_err(http)
    }
}

fn strings(ids: &[u64]) -> Vec<String> {
    ids.iter().map(u64::to_string).collect()
}

/// 64-bit integers in JSON: decimal strings, as proto3's mapping writes them; numbers are taken too, as it demands.
mod decimal {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_json::Value;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => text.parse().map_err(D::Error::custom),
            Value::Number(number) => {
                number.as_u64().ok_or_else(|| D::Error::custom("not an unsigned integer"))
            }
            other => Err(D::Error::custom(format!("expected a decimal string, found {other}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_with_ids_as_strings_and_written_back_the_same() {
        let text = r#"{"user":{"userId":"7","name":"ada","displayName":"Ada"},"sessionId":"9007199254740993","accessToken":"a","refreshToken":"r","expiresAtMs":"1790000000000"}"#;
        let account: Account = serde_json::from_str(text).unwrap();
        assert_eq!(account.session_id, 9_007_199_254_740_993);
        assert_eq!(serde_json::to_string(&account).unwrap(), text);
    }
}
