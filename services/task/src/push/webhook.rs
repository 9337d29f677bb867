//! One POST per notification, tried again a few times where that may help.

use std::time::Duration;

use anyhow::Context;
use gochat_chassis::resilience::Retry;
use gochat_proto::events::Push;
use reqwest::{Client, StatusCode, Url};
use serde::Serialize;

use super::signature::sign;
use crate::clock::now_ms;
use crate::config::PushConfig;

const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The body; ids are strings, since JavaScript's numbers end at 2^53.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    conversation_id: String,
    seq: String,
    sender_id: String,
    user_ids: Vec<String>,
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    Taken,
    Refused,
    Failed,
}

impl Delivered {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Attempt {
    #[error("the webhook answered {0}")]
    Status(StatusCode),
    #[error("the webhook was not reached: {0}")]
    Transport(#[from] reqwest::Error),
}

impl Attempt {
    /// 429 and 5xx pass; another 4xx is about what we send and stays.
    fn may_pass(&self) -> bool {
        match self {
            Self::Status(status) => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Transport(_) => true,
        }
    }
}

/// The webhook.
pub(crate) struct Webhook {
    client: Client,
    url: Url,
    secret: Option<Vec<u8>>,
    retry: Retry,
}

impl Webhook {
    pub(crate) async fn new(config: &PushConfig) -> anyhow::Result<Self> {
        let url = Url::parse(&config.url).with_context(|| format!("task.push.url {:?}", config.url))?;
        let secret = match &config.secret_file {
            Some(path) => {
                let content = tokio::fs::read(path)
                    .await
                    .with_context(|| format!("task.push.secret_file {}", path.display()))?;
                let secret = content.trim_ascii().to_vec();
                anyhow::ensure!(!secret.is_empty(), "task.push.secret_file {}: empty", path.display());
                Some(secret)
            }
            None => None,
        };
        // Already there where another part of the process came first: the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(config.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("HTTP client for push")?;
        let retry = Retry {
            max_attempts: config.max_attempts,
            base: config.backoff,
            cap: LONGEST_WAIT.max(config.backoff),
            budget: None,
        };
        Ok(Self { client, url, secret, retry })
    }

    /// Never fails its caller: the outcome is for the metric.
    pub(crate) async fn deliver(&self, push: &Push) -> Delivered {
        let hint = push.hint.unwrap_or_default();
        let notification = Notification {
            conversation_id: hint.conversation_id.to_string(),
            seq: hint.seq.to_string(),
            sender_id: hint.sender_id.to_string(),
            user_ids: push.user_ids.iter().map(u64::to_string).collect(),
        };
        let Ok(body) = serde_json::to_vec(&notification) else { return Delivered::Failed };
        match self.retry.run(|| self.post(body.clone()), Attempt::may_pass).await {
            Ok(()) => Delivered::Taken,
            Err(error) => {
                tracing::warn!(
                    %error,
                    conversation = hint.conversation_id,
                    seq = hint.seq,
                    users = push.user_ids.len(),
                    "push given up"
                );
                if error.may_pass() { Delivered::Failed } else { Delivered::Refused }
            }
        }
    }

    async fn post(&self, body: Vec<u8>) -> Result<(), Attempt> {
        let timestamp = now_ms() / 1000;
        let mut request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("x-gochat-timestamp", timestamp.to_string());
        if let Some(signature) = self.secret.as_deref().and_then(|secret| sign(secret, timestamp, &body)) {
            request = request.header("x-gochat-signature", signature);
        }
        let status = request.body(body).send().await?.status();
        if status.is_success() { Ok(()) } else { Err(Attempt::Status(status)) }
    }
}
