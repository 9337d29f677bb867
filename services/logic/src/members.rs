//! Member lists as the message path needs them: who may write, and whom to tell, by shard.
//!
//! A cached list may be stale; that never lets a removed member write, since repo compares `members_version` in the
//! transaction that stores. Whoever is *not* in a cached list is only refused after its version was checked.
//!
//! Of a conversation that task fans out (more members than the threshold) no list is kept here, only who wrote in it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gochat_core::{Recipients, SlotCount, UserId};
use gochat_proto::repo;
use moka::future::Cache;
use tonic::{Code, Status};

use crate::repo_clients::Repo;

/// Writers remembered of large conversations.
const LARGE_WRITERS: u64 = 200_000;
/// Bounds how long an idle conversation's list is kept.
const IDLE: Duration = Duration::from_mins(10);

/// What is known of a conversation's members, as of one version.
#[derive(Clone, Debug)]
pub(crate) struct Roster {
    /// Of the list that this is.
    pub(crate) version: u64,
    /// All members; `None` where there are more than the threshold.
    pub(crate) members: Option<Arc<Recipients>>,
}

/// Cached rosters; cheap to clone.
#[derive(Clone)]
pub(crate) struct Members {
    repo: Repo,
    shards: SlotCount,
    threshold: u32,
    rosters: Cache<u64, Roster>,
    /// (conversation, user) → version at which the user was a member of a large conversation.
    writers: Cache<(u64, u64), u64>,
}

impl Members {
    pub(crate) fn new(repo: Repo, shards: SlotCount, threshold: u32, cached_members: u64) -> Self {
        let rosters = Cache::builder()
            .max_capacity(cached_members)
            .weigher(|_, roster: &Roster| roster.members.as_ref().map_or(8, |m| weight(m)))
            .time_to_idle(IDLE)
            .build();
        let writers = Cache::builder().max_capacity(LARGE_WRITERS).time_to_idle(IDLE).build();
        Self { repo, shards, threshold, rosters, writers }
    }

    /// The roster, cached or read; `None` where there is no such conversation.
    pub(crate) async fn roster(&self, conversation: u64) -> Result<Option<Roster>, Status> {
        let loaded = self.rosters.try_get_with(conversation, self.load(conversation)).await;
        match loaded {
            Ok(roster) => Ok(Some(roster)),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err((*status).clone()),
        }
    }

    /// Whether the user is a member as of the roster's version.
    pub(crate) async fn is_member(
        &self,
        conversation: u64,
        roster: &Roster,
        user: UserId,
    ) -> Result<bool, Status> {
        if let Some(members) = &roster.members {
            return Ok(members.contains(self.shards, user));
        }
        let key = (conversation, user.get());
        if self.writers.get(&key).await == Some(roster.version) {
            return Ok(true);
        }
        let found = self.member(conversation, user).await?;
        if let Some((_, version)) = &found {
            self.writers.insert(key, *version).await;
            if *version != roster.version {
                // The list moved meanwhile. Storing under the old version would be refused: say so by forgetting it.
                self.forget(conversation).await;
            }
        }
        Ok(found.is_some())
    }

    /// One member as stored now, with the version it was read at. Not cached.
    pub(crate) async fn member(
        &self,
        conversation: u64,
        user: UserId,
    ) -> Result<Option<(gochat_proto::types::Member, u64)>, Status> {
        let request = repo::ListMembersRequest {
            conversation_id: conversation,
            after_user_id: user.get() - 1,
            limit: 1,
        };
        let page = match self.repo.ask(self.repo.conversations().list_members(request)).await {
            Ok(page) => page,
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            Err(status) => return Err(status),
        };
        let version = page.members_version;
        Ok(page.members.into_iter().find(|m| m.user_id == user.get()).map(|member| (member, version)))
    }

    /// Those of `users` that are members now. Not cached.
    pub(crate) async fn among(
        &self,
        conversation: u64,
        users: &BTreeSet<u64>,
    ) -> Result<BTreeSet<u64>, Status> {
        let (Some(first), Some(last)) = (users.first(), users.last()) else { return Ok(BTreeSet::new()) };
        let limit = if first == last { 1 } else { 10_000 };
        let mut after_user_id = first.saturating_sub(1);
        let mut found = BTreeSet::new();
        loop {
            let request = repo::ListMembersRequest { conversation_id: conversation, after_user_id, limit };
            let page = self.repo.ask(self.repo.conversations().list_members(request)).await?;
            found.extend(page.members.iter().map(|m| m.user_id).filter(|id| users.contains(id)));
            match page.members.last() {
                Some(end) if page.more && end.user_id < *last => after_user_id = end.user_id,
                _ => return Ok(found),
            }
        }
    }

    /// Forgets what is cached of a conversation whose members changed.
    pub(crate) async fn forget(&self, conversation: u64) {
        self.rosters.invalidate(&conversation).await;
    }

    /// Forgets the rosters that are not of the version repo has now.
    pub(crate) async fn forget_stale(&self, conversations: Vec<u64>) -> Result<(), Status> {
        let request = repo::GetHeadsRequest { conversation_ids: conversations.clone() };
        let heads = self.repo.ask(self.repo.conversations().get_heads(request)).await?.heads;
        for conversation in conversations {
            let head = heads.iter().find(|head| head.conversation_id == conversation);
            let current = self.rosters.get(&conversation).await.map(|roster| roster.version);
            if head.map(|head| head.members_version) != current {
                self.forget(conversation).await;
            }
        }
        Ok(())
    }

    async fn load(&self, conversation: u64) -> Result<Roster, Status> {
        let most = self.threshold.saturating_add(1);
        let request = repo::ListMembersRequest {
            conversation_id: conversation,
            after_user_id: 0,
            limit: most.min(10_000),
        };
        let page = self.repo.ask(self.repo.conversations().list_members(request)).await?;
        if page.members.is_empty() {
            return Err(Status::not_found("no such conversation"));
        }
        let large = page.more || page.members.len() > self.threshold as usize;
        let members = (!large)
            .then(|| Recipients::group(self.shards, page.members.iter().map(|m| m.user_id)))
            .map(Arc::new);
        metrics::counter!("gochat_logic_rosters_loaded_total").increment(1);
        Ok(Roster { version: page.members_version, members })
    }
}

/// In members; a list costs something even where it is short.
fn weight(members: &Recipients) -> u32 {
    u32::try_from(members.len() + 8).unwrap_or(u32::MAX)
}
