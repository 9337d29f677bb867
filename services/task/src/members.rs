//! Member lists of large groups, grouped by shard, read by pages and kept as of a version.

use std::sync::Arc;
use std::time::Duration;

use gochat_core::{Recipients, SlotCount};
use gochat_member::Peer;
use gochat_proto::repo;
use gochat_proto::repo::conversation_repo_client::ConversationRepoClient;
use moka::future::Cache;
use tonic::{Code, Status};

/// repo's largest page.
const PAGE: u32 = 10_000;
const IDLE: Duration = Duration::from_mins(10);

#[derive(Clone)]
struct Known {
    version: u64,
    members: Arc<Recipients>,
}

/// Cached lists; cheap to clone.
#[derive(Clone)]
pub(crate) struct Members {
    repo: Peer,
    shards: SlotCount,
    known: Cache<u64, Known>,
}

impl Members {
    pub(crate) fn new(repo: Peer, shards: SlotCount, cached_members: u64) -> Self {
        let known = Cache::builder()
            .max_capacity(cached_members)
            .weigher(|_, known: &Known| u32::try_from(known.members.len() + 8).unwrap_or(u32::MAX))
            .time_to_idle(IDLE)
            .build();
        Self { repo, shards, known }
    }

    /// The members as of a version or later. Nobody where the conversation is gone.
    pub(crate) async fn at_least(&self, conversation: u64, version: u64) -> Result<Arc<Recipients>, Status> {
        if let Some(known) = self.known.get(&conversation).await
            && known.version >= version
        {
            return Ok(known.members);
        }
        let known = self.read(conversation).await?;
        self.known.insert(conversation, known.clone()).await;
        Ok(known.members)
    }

    /// Pages are not one snapshot: who comes or goes meanwhile is in or out, and the list counts as the first page's
    /// version, so that the next event reads it again.
    async fn read(&self, conversation: u64) -> Result<Known, Status> {
        let mut client = ConversationRepoClient::new(self.repo.channel());
        let mut users = Vec::new();
        let mut version = None;
        let mut after_user_id = 0;
        loop {
            let request =
                repo::ListMembersRequest { conversation_id: conversation, after_user_id, limit: PAGE };
            let page = match self.repo.ask(client.list_members(request)).await {
                Ok(page) => page,
                Err(status) if status.code() == Code::NotFound => repo::ListMembersResponse::default(),
                Err(status) => return Err(status),
            };
            version.get_or_insert(page.members_version);
            users.extend(page.members.iter().map(|member| member.user_id));
            match page.members.last() {
                Some(last) if page.more => after_user_id = last.user_id,
                _ => break,
            }
        }
        metrics::counter!("gochat_task_member_lists_read_total").increment(1);
        let members = Arc::new(Recipients::group(self.shards, users));
        Ok(Known { version: version.unwrap_or_default(), members })
    }
}
