//! `logic.v1.ChatService`: what a user may see and change of users, conversations and messages.

use std::collections::BTreeSet;

use gochat_core::{ConversationId, UserId};
use gochat_proto::logic::chat_service_server::ChatService;
use gochat_proto::types::{Conversation, ConversationKind, Role};
use gochat_proto::{client, logic, repo, types};
use gochat_uid::Snowflake;
use tonic::{Code, Request, Response, Status, async_trait};

use super::rules::Actor;
use crate::auth::check_line;
use crate::error::Refusal;
use crate::members::Members;
use crate::notify::Notifier;
use crate::repo_clients::Repo;

/// Users asked for by id at a time.
const MOST_IDS: usize = 500;
const LONGEST_TITLE: usize = 128;

/// The service; its parts are cheap to clone.
pub(crate) struct Chats {
    pub(crate) repo: Repo,
    pub(crate) ids: Snowflake,
    pub(crate) members: Members,
    pub(crate) notifier: Notifier,
    pub(crate) max_group_members: u32,
}

type Answer<T> = Result<T, Refusal>;

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(status: Status) -> Refusal {
    Refusal::from_repo(&status)
}

fn user(field: &'static str, id: u64) -> Answer<UserId> {
    UserId::new(id).ok_or_else(|| Refusal::field(field, "not set"))
}

fn conversation(id: u64) -> Answer<ConversationId> {
    ConversationId::new(id).ok_or_else(|| Refusal::field("conversation_id", "not set"))
}

impl Chats {
    async fn get_users(&self, asked: logic::GetUsersRequest) -> Answer<logic::GetUsersResponse> {
        user("user_id", asked.user_id)?;
        let users = match (asked.ids.is_empty(), asked.name.is_empty(), asked.name_prefix.is_empty()) {
            (false, true, true) if asked.ids.len() > MOST_IDS => {
                return Err(Refusal::field("ids", format!("more than {MOST_IDS}")));
            }
            (false, true, true) | (true, false, true) | (true, true, false) => {
                let (user_ids, name, name_prefix) = (asked.ids, asked.name, asked.name_prefix);
                self.find(repo::FindUsersRequest { user_ids, name, name_prefix }).await?
            }
            _ => return Err(Refusal::field("ids, name, name_prefix", "exactly one must be set")),
        };
        Ok(logic::GetUsersResponse { users })
    }

    async fn find(&self, request: repo::FindUsersRequest) -> Answer<Vec<types::User>> {
        Ok(self.repo.ask(self.repo.users().find_users(request)).await.map_err(refused)?.users)
    }

    /// All of them must exist.
    async fn check_users(&self, ids: &BTreeSet<u64>) -> Answer<()> {
        let ids: Vec<u64> = ids.iter().copied().collect();
        for some in ids.chunks(MOST_IDS) {
            let request = repo::FindUsersRequest { user_ids: some.to_vec(), ..Default::default() };
            let found: BTreeSet<u64> = self.find(request).await?.iter().map(|user| user.user_id).collect();
            if let Some(missing) = some.iter().find(|id| !found.contains(id)) {
                return Err(Refusal::NoSuchUser(*missing));
            }
        }
        Ok(())
    }

    async fn create_direct(&self, asked: logic::CreateDirectRequest) -> Answer<Conversation> {
        let (me, peer) = (user("user_id", asked.user_id)?, user("peer_id", asked.peer_id)?);
        if me == peer {
            return Err(Refusal::field("peer_id", "a chat with oneself"));
        }
        self.check_users(&BTreeSet::from([peer.get()])).await?;
        self.create(me, ConversationKind::Direct, String::new(), vec![me.get(), peer.get()]).await
    }

    async fn create_group(&self, asked: logic::CreateGroupRequest) -> Answer<Conversation> {
        let me = user("user_id", asked.user_id)?;
        let title = asked.title.trim().to_owned();
        if title.is_empty() {
            return Err(Refusal::field("title", "empty"));
        }
        check_line("title", &title, LONGEST_TITLE)?;
        let others: BTreeSet<u64> = asked.member_ids.into_iter().filter(|id| *id != me.get()).collect();
        if others.len() >= self.max_group_members as usize {
            return Err(Refusal::GroupFull(self.max_group_members));
        }
        self.check_users(&others).await?;
        let members = std::iter::once(me.get()).chain(others).collect();
        self.create(me, ConversationKind::Group, title, members).await
    }

    async fn create(
        &self,
        me: UserId,
        kind: ConversationKind,
        title: String,
        member_ids: Vec<u64>,
    ) -> Answer<Conversation> {
        let new = self.ids.next().await.map_err(|error| {
            tracing::warn!(%error, "no id");
            Refusal::Unavailable("the id service")
        })?;
        let request = repo::CreateConversationRequest {
            conversation_id: new,
            kind: kind.into(),
            title,
            member_ids: member_ids.clone(),
        };
        let head =
            self.repo.ask(self.repo.conversations().create_conversation(request)).await.map_err(refused)?;
        let id = conversation(head.conversation_id)?;
        // A direct chat that was there already is no news to anybody.
        if head.conversation_id == new {
            self.notifier.conversation_changed(id, &member_ids, &[]).await;
        }
        self.view(me, id).await
    }

    /// The conversation as its member sees it; refuses who is none.
    async fn view(&self, me: UserId, id: ConversationId) -> Answer<Conversation> {
        let request = repo::GetConversationRequest { conversation_id: id.get(), viewer_id: me.get() };
        match self.repo.ask(self.repo.conversations().get_conversation(request)).await {
            Ok(found) => Ok(found),
            Err(status) if status.code() == Code::NotFound => Err(self.not_a_member(me, id).await),
            Err(status) => Err(refused(status)),
        }
    }

    /// Tells a conversation one is not in from one that does not exist. Ids can't be guessed, nor is it a secret that
    /// one exists.
    async fn not_a_member(&self, me: UserId, id: ConversationId) -> Refusal {
        let request = repo::GetHeadsRequest { conversation_ids: vec![id.get()] };
        match self.repo.ask(self.repo.conversations().get_heads(request)).await {
            Ok(found) if found.heads.is_empty() => Refusal::NoSuchConversation(id.get()),
            Ok(_) => Refusal::NotAMember(me.get()),
            Err(status) => refused(status),
        }
    }

    /// Refuses who is no member now; asks repo, not the cache, since a removed member must not read on.
    async fn check_member(&self, me: UserId, id: ConversationId) -> Answer<()> {
        match self.members.member(id.get(), me).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(self.not_a_member(me, id).await),
            Err(status) => Err(refused(status)),
        }
    }

    async fn list_conversations(
        &self,
        asked: logic::ListConversationsRequest,
    ) -> Answer<logic::ListConversationsResponse> {
        let viewer_id = user("user_id", asked.user_id)?.get();
        if asked.page.len() > 256 {
            return Err(Refusal::field("page", "not a page that was given out"));
        }
        let request =
            repo::ListConversationsRequest { viewer_id, page: asked.page, limit: asked.limit.min(200) };
        match self.repo.ask(self.repo.conversations().list_conversations(request)).await {
            Ok(found) => Ok(logic::ListConversationsResponse {
                conversations: found.conversations,
                next_page: found.next_page,
            }),
            Err(status) if status.code() == Code::InvalidArgument => {
                Err(Refusal::field("page", "not a page that was given out"))
            }
            Err(status) => Err(refused(status)),
        }
    }

    async fn list_members(&self, asked: logic::ListMembersRequest) -> Answer<logic::ListMembersResponse> {
        let (me, id) = (user("user_id", asked.user_id)?, conversation(asked.conversation_id)?);
        let limit = match asked.limit {
            0 => 100,
            limit => limit.min(500),
        };
        let request =
            repo::ListMembersRequest { conversation_id: id.get(), after_user_id: asked.after_user_id, limit };
        let mut conversations = self.repo.conversations();
        let (allowed, page) =
            tokio::join!(self.check_member(me, id), self.repo.ask(conversations.list_members(request)));
        allowed?;
        let page = page.map_err(refused)?;
        let user_ids: Vec<u64> = page.members.iter().map(|member| member.user_id).collect();
        let users = if user_ids.is_empty() {
            Vec::new()
        } else {
            self.find(repo::FindUsersRequest { user_ids, ..Default::default() }).await?
        };
        Ok(logic::ListMembersResponse { members: page.members, users, more: page.more })
    }

    async fn add_members(&self, asked: logic::AddMembersRequest) -> Answer<Conversation> {
        let (me, id) = (user("user_id", asked.user_id)?, conversation(asked.conversation_id)?);
        let view = self.view(me, id).await?;
        actor(&view).may_add()?;
        let asked: BTreeSet<u64> = asked.member_ids.into_iter().collect();
        if asked.is_empty() {
            return Err(Refusal::field("member_ids", "empty"));
        }
        if asked.len() > self.max_group_members as usize {
            return Err(Refusal::GroupFull(self.max_group_members));
        }
        self.check_users(&asked).await?;
        // Who is a member already keeps the role they have: adding an admin again must not make them a plain member.
        let known = self.members.among(id.get(), &asked).await.map_err(refused)?;
        let new: Vec<u64> = asked.difference(&known).copied().collect();
        if new.is_empty() {
            return Ok(view);
        }
        let changes = new.iter().map(|user_id| change(*user_id, Role::Member)).collect();
        self.change(id, changes).await?;
        self.notifier.conversation_changed(id, &new, &[]).await;
        self.view(me, id).await
    }

    async fn remove_member(&self, asked: logic::RemoveMemberRequest) -> Answer<()> {
        let (me, id) = (user("user_id", asked.user_id)?, conversation(asked.conversation_id)?);
        let target = user("member_id", asked.member_id)?;
        let view = self.view(me, id).await?;
        if target == me {
            actor(&view).may_leave(view.member_count)?;
        } else {
            let found = self.members.member(id.get(), target).await.map_err(refused)?;
            let (member, _) = found.ok_or(Refusal::NotAMember(target.get()))?;
            actor(&view).may_remove(member.role())?;
        }
        self.change(id, vec![change(target.get(), Role::Unspecified)]).await?;
        self.notifier.conversation_changed(id, &[], &[target.get()]).await;
        Ok(())
    }

    async fn set_role(&self, asked: logic::SetRoleRequest) -> Answer<()> {
        let (me, id) = (user("user_id", asked.user_id)?, conversation(asked.conversation_id)?);
        let target = user("member_id", asked.member_id)?;
        let role = Role::try_from(asked.role).unwrap_or(Role::Unspecified);
        let view = self.view(me, id).await?;
        let (theirs, mine) = actor(&view).may_set(target == me, role)?;
        if self.members.member(id.get(), target).await.map_err(refused)?.is_none() {
            return Err(Refusal::NotAMember(target.get()));
        }
        let mut changes = vec![change(target.get(), theirs)];
        changes.extend(mine.map(|role| change(me.get(), role)));
        self.change(id, changes).await?;
        self.notifier.conversation_changed(id, &[me.get(), target.get()], &[]).await;
        Ok(())
    }

    async fn change(&self, id: ConversationId, changes: Vec<repo::MemberChange>) -> Answer<()> {
        let request = repo::ChangeMembersRequest {
            conversation_id: id.get(),
            changes,
            max_members: self.max_group_members,
        };
        let changed = self.repo.ask(self.repo.conversations().change_members(request)).await;
        // Forgotten even where it failed: a lost answer may have changed the list.
        self.members.forget(id.get()).await;
        match changed {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::ResourceExhausted => {
                Err(Refusal::GroupFull(self.max_group_members))
            }
            Err(status) if status.code() == Code::NotFound => Err(Refusal::NoSuchConversation(id.get())),
            Err(status) => Err(refused(status)),
        }
    }

    async fn list_messages(&self, asked: logic::ListMessagesRequest) -> Answer<logic::ListMessagesResponse> {
        let (me, id) = (user("user_id", asked.user_id)?, conversation(asked.conversation_id)?);
        if asked.after_seq.is_some() && asked.before_seq.is_some() {
            return Err(Refusal::field("after_seq, before_seq", "not both"));
        }
        let request = repo::ListMessagesRequest {
            conversation_id: id.get(),
            after_seq: asked.after_seq,
            before_seq: asked.before_seq,
            limit: asked.limit.min(500),
        };
        let mut messages = self.repo.messages();
        let (allowed, page) =
            tokio::join!(self.check_member(me, id), self.repo.ask(messages.list_messages(request)));
        allowed?;
        let page = page.map_err(refused)?;
        Ok(logic::ListMessagesResponse { messages: page.messages, more: page.more, last_seq: page.last_seq })
    }

    async fn mark_read(&self, asked: logic::MarkReadRequest) -> Answer<logic::MarkReadResponse> {
        let (me, id) = (user("user_id", asked.user_id)?, conversation(asked.conversation_id)?);
        let cursor = repo::ReadCursor { conversation_id: id.get(), user_id: me.get(), seq: asked.seq };
        let request = repo::AdvanceReadCursorsRequest { cursors: vec![cursor] };
        let answer =
            self.repo.ask(self.repo.messages().advance_read_cursors(request)).await.map_err(refused)?;
        let read_seq = answer.cursors.first().map_or(0, |cursor| cursor.seq);
        if read_seq == 0 {
            // No member, or nothing to read yet.
            self.check_member(me, id).await?;
            return Ok(logic::MarkReadResponse { read_seq });
        }
        let mark = client::ReadMark { conversation_id: id.get(), user_id: me.get(), seq: read_seq };
        self.notifier.read(mark).await;
        Ok(logic::MarkReadResponse { read_seq })
    }
}

fn actor(view: &Conversation) -> Actor {
    Actor { kind: view.kind(), role: view.role() }
}

fn change(user_id: u64, role: Role) -> repo::MemberChange {
    repo::MemberChange { user_id, role: role.into() }
}

#[async_trait]
impl ChatService for Chats {
    async fn get_users(
        &self,
        request: Request<logic::GetUsersRequest>,
    ) -> Result<Response<logic::GetUsersResponse>, Status> {
        Ok(Response::new(Self::get_users(self, request.into_inner()).await?))
    }

    async fn create_direct(
        &self,
        request: Request<logic::CreateDirectRequest>,
    ) -> Result<Response<Conversation>, Status> {
        Ok(Response::new(Self::create_direct(self, request.into_inner()).await?))
    }

    async fn create_group(
        &self,
        request: Request<logic::CreateGroupRequest>,
    ) -> Result<Response<Conversation>, Status> {
        Ok(Response::new(Self::create_group(self, request.into_inner()).await?))
    }

    async fn get_conversation(
        &self,
        request: Request<logic::GetConversationRequest>,
    ) -> Result<Response<Conversation>, Status> {
        let asked = request.into_inner();
        let (me, id) = (user("user_id", asked.user_id)?, conversation(asked.conversation_id)?);
        Ok(Response::new(self.view(me, id).await?))
    }

    async fn list_conversations(
        &self,
        request: Request<logic::ListConversationsRequest>,
    ) -> Result<Response<logic::ListConversationsResponse>, Status> {
        Ok(Response::new(Self::list_conversations(self, request.into_inner()).await?))
    }

    async fn list_members(
        &self,
        request: Request<logic::ListMembersRequest>,
    ) -> Result<Response<logic::ListMembersResponse>, Status> {
        Ok(Response::new(Self::list_members(self, request.into_inner()).await?))
    }

    async fn add_members(
        &self,
        request: Request<logic::AddMembersRequest>,
    ) -> Result<Response<Conversation>, Status> {
        Ok(Response::new(Self::add_members(self, request.into_inner()).await?))
    }

    async fn remove_member(
        &self,
        request: Request<logic::RemoveMemberRequest>,
    ) -> Result<Response<logic::RemoveMemberResponse>, Status> {
        Self::remove_member(self, request.into_inner()).await?;
        Ok(Response::new(logic::RemoveMemberResponse {}))
    }

    async fn set_role(
        &self,
        request: Request<logic::SetRoleRequest>,
    ) -> Result<Response<logic::SetRoleResponse>, Status> {
        Self::set_role(self, request.into_inner()).await?;
        Ok(Response::new(logic::SetRoleResponse {}))
    }

    async fn list_messages(
        &self,
        request: Request<logic::ListMessagesRequest>,
    ) -> Result<Response<logic::ListMessagesResponse>, Status> {
        Ok(Response::new(Self::list_messages(self, request.into_inner()).await?))
    }

    async fn mark_read(
        &self,
        request: Request<logic::MarkReadRequest>,
    ) -> Result<Response<logic::MarkReadResponse>, Status> {
        Ok(Response::new(Self::mark_read(self, request.into_inner()).await?))
    }
}
