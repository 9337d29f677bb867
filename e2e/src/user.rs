//! An account, through the HTTP API.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use gochat_client::Api;

/// The most messages of one page of history.
const PAGE: u32 = 200;

/// Somebody who is logged in.
pub struct User {
    #[allow(missing_docs)]
    pub id: u64,
    #[allow(missing_docs)]
    pub name: String,
    #[allow(missing_docs)]
    pub access_token: String,
    /// Speaks for them, at the gateway where they registered.
    pub api: Api,
}

impl User {
    /// A new account; its name starts with `name` and is unique on this machine.
    pub async fn register(gateway: &str, name: &str) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let api = Api::new(gateway)?;
        let account = api.register(&name, "correct horse", "e2e").await?;
        Ok(Self { id: account.user.user_id, name, access_token: account.access_token, api })
    }

    /// The direct chat with somebody.
    pub async fn direct_chat(&self, peer: &Self) -> Result<u64> {
        Ok(self.api.create_direct(peer.id).await?.conversation_id)
    }

    /// A new group with these members beside its maker.
    pub async fn group(&self, title: &str, members: &[&Self]) -> Result<u64> {
        let members: Vec<u64> = members.iter().map(|member| member.id).collect();
        Ok(self.api.create_group(title, &members).await?.conversation_id)
    }

    /// `(seq, text)` of a conversation's first messages.
    pub async fn history(&self, conversation: u64) -> Result<Vec<(u64, String)>> {
        let page = self.api.messages_after(conversation, 0, PAGE).await?;
        Ok(page.messages.into_iter().map(|message| (message.seq, message.text)).collect())
    }
}
