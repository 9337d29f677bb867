//! An account, through the HTTP API as docs/protocol.md has it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub struct User {
    /// Of the gateway that is asked.
    pub gateway: String,
    #[allow(missing_docs)]
    pub id: u64,
    #[allow(missing_docs)]
    pub name: String,
    #[allow(missing_docs)]
    pub access_token: String,
}

impl User {
    /// A new account; its name starts with `name` and is unique in this process.
    pub async fn register(gateway: &str, name: &str) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let body = json!({ "name": name, "password": "correct horse", "displayName": name, "device": "e2e" });
        let answer = call(http()?.post(format!("{gateway}/api/v1/register")).json(&body)).await?;
        Ok(Self {
            gateway: gateway.to_owned(),
            id: id(answer.pointer("/user/userId"))?,
            name,
            access_token: text(answer.get("accessToken"))?,
        })
    }

    /// The direct chat with somebody.
    pub async fn direct_chat(&self, peer: &Self) -> Result<u64> {
        let answer = self.post("conversations", &json!({ "peerId": peer.id.to_string() })).await?;
        id(answer.get("conversationId"))
    }

    /// A new group with these members beside its maker.
    pub async fn group(&self, title: &str, members: &[&Self]) -> Result<u64> {
        let members: Vec<String> = members.iter().map(|member| member.id.to_string()).collect();
        let body = json!({ "title": title, "memberIds": members });
        id(self.post("conversations", &body).await?.get("conversationId"))
    }

    /// Ends the session that its token belongs to.
    pub async fn log_out(&self) -> Result<()> {
        self.post("logout", &json!({})).await.map(drop)
    }

    /// `(seq, text)` of a conversation's first messages.
    pub async fn history(&self, conversation: u64) -> Result<Vec<(u64, String)>> {
        let url = format!("{}/api/v1/conversations/{conversation}/messages?after=0&limit=200", self.gateway);
        let answer = call(http()?.get(url).bearer_auth(&self.access_token)).await?;
        let messages = answer.get("messages").and_then(Value::as_array).cloned().unwrap_or_default();
        messages.iter().map(|message| Ok((id(message.get("seq"))?, text(message.get("text"))?))).collect()
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}/api/v1/{path}", self.gateway);
        call(http()?.post(url).bearer_auth(&self.access_token).json(body)).await
    }
}

/// One client for all: plain HTTP to this machine, but reqwest wants a TLS provider all the same.
pub(crate) fn http() -> Result<reqwest::Client> {
    static CLIENT: OnceLock<Option<reqwest::Client>> = OnceLock::new();
    let client = CLIENT.get_or_init(|| {
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Tests have a runtime each, and a pooled connection dies with the runtime that opened it.
        reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().ok()
    });
    client.clone().ok_or_else(|| anyhow!("no HTTP client"))
}

async fn call(request: reqwest::RequestBuilder) -> Result<Value> {
    let response = request.send().await?;
    let (status, url) = (response.status(), response.url().clone());
    let body = response.text().await?;
    if !status.is_success() {
        bail!("{url}: {status}: {body}");
    }
    if body.is_empty() {
        Ok(Value::Null)
    } else {
        serde_json::from_str(&body).with_context(|| format!("{url}: {body}"))
    }
}

/// 64-bit numbers are strings in JSON.
fn id(value: Option<&Value>) -> Result<u64> {
    let text = text(value)?;
    text.parse().with_context(|| format!("id {text:?}"))
}

fn text(value: Option<&Value>) -> Result<String> {
    value.and_then(Value::as_str).map(str::to_owned).with_context(|| format!("a string, not {value:?}"))
}
