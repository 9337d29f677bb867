//! repo's contract in memory, with faults to order: what the real one can't be made to do on demand.

#![allow(unreachable_pub, reason = "shared by several test binaries")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use gochat_proto::repo::append_result::Status as Appended;
use gochat_proto::repo::*;
use gochat_proto::types::{Conversation, ConversationKind, Member, Message, Role, User};
use tonic::{Request, Response, Status, async_trait};

#[derive(Default)]
pub struct Stored {
    pub users: BTreeMap<u64, (User, String)>,
    pub sessions: HashMap<u64, (Session, Vec<u8>)>,
    pub conversations: BTreeMap<u64, Chat>,
    /// Appends that hold a message of this text are refused as a whole.
    pub poison: Option<String>,
    /// Calls fail as if the database were away.
    pub away: bool,
    pub appends: usize,
    pub member_reads: usize,
    pub expired_asked: usize,
    pub stats_asked: usize,
}

#[derive(Default)]
pub struct Chat {
    pub kind: i32,
    pub title: String,
    pub version: u64,
    pub members: BTreeMap<u64, i32>,
    pub read: HashMap<u64, u64>,
    pub messages: Vec<Message>,
    pub keys: HashMap<(u64, String), usize>,
}

impl Chat {
    fn head(&self, conversation_id: u64) -> ConversationHead {
        ConversationHead {
            conversation_id,
            kind: self.kind,
            title: self.title.clone(),
            members_version: self.version,
            member_count: self.members.len() as u32,
            last_seq: self.messages.len() as u64,
        }
    }
}

#[derive(Clone, Default)]
pub struct MemoryRepo(pub Arc<Mutex<Stored>>);

type Answer<T> = Result<Response<T>, Status>;

impl MemoryRepo {
    pub fn with<T>(&self, f: impl FnOnce(&mut Stored) -> T) -> T {
        f(&mut self.0.lock().unwrap())
    }

    /// A group whose members are there without having registered.
    pub fn group(&self, conversation: u64, members: impl IntoIterator<Item = u64>) {
        let members = members.into_iter().map(|id| (id, Role::Member as i32)).collect();
        let kind = ConversationKind::Group as i32;
        self.with(|s| {
            s.conversations.insert(conversation, Chat { kind, version: 1, members, ..Chat::default() })
        });
    }

    pub fn remove(&self, conversation: u64, user: u64) {
        self.with(|s| {
            let chat = s.conversations.get_mut(&conversation).unwrap();
            chat.members.remove(&user);
            chat.version += 1;
        });
    }

    pub fn texts(&self, conversation: u64) -> Vec<String> {
        self.with(|s| s.conversations[&conversation].messages.iter().map(|m| m.text.clone()).collect())
    }

    fn answer<T>(&self, f: impl FnOnce(&mut Stored) -> Result<T, Status>) -> Answer<T> {
        self.with(|s| if s.away { Err(Status::unavailable("away")) } else { f(s).map(Response::new) })
    }
}

fn missing() -> Status {
    Status::not_found("missing")
}

#[async_trait]
impl user_repo_server::UserRepo for MemoryRepo {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Answer<User> {
        let asked = request.into_inner();
        self.answer(|s| {
            if s.users.values().any(|(user, _)| user.name == asked.name) {
                return Err(Status::already_exists("name"));
            }
            let user = User { user_id: asked.user_id, name: asked.name, display_name: asked.display_name };
            s.users.insert(asked.user_id, (user.clone(), asked.password_hash));
            Ok(user)
        })
    }

    async fn find_users(&self, request: Request<FindUsersRequest>) -> Answer<FindUsersResponse> {
        let asked = request.into_inner();
        let fits = |user: &User| {
            asked.user_ids.contains(&user.user_id)
                || (!asked.name.is_empty() && user.name == asked.name)
                || (!asked.name_prefix.is_empty() && user.name.starts_with(&asked.name_prefix))
        };
        self.answer(|s| {
            let users = s.users.values().map(|(user, _)| user).filter(|u| fits(u)).cloned().collect();
            Ok(FindUsersResponse { users })
        })
    }

    async fn get_credentials(&self, request: Request<GetCredentialsRequest>) -> Answer<Credentials> {
        let name = request.into_inner().name;
        self.answer(|s| {
            let (user, hash) = s.users.values().find(|(user, _)| user.name == name).ok_or_else(missing)?;
            Ok(Credentials { user: Some(user.clone()), password_hash: hash.clone() })
        })
    }

    async fn create_session(&self, request: Request<CreateSessionRequest>) -> Answer<Session> {
        let asked = request.into_inner();
        let session = asked.session.unwrap();
        self.answer(|s| {
            s.sessions.insert(session.session_id, (session.clone(), asked.refresh_hash.to_vec()));
            Ok(session)
        })
    }

    async fn get_session(&self, request: Request<GetSessionRequest>) -> Answer<Session> {
        let id = request.into_inner().session_id;
        self.answer(|s| s.sessions.get(&id).map(|(session, _)| session.clone()).ok_or_else(missing))
    }

    async fn rotate_session(&self, request: Request<RotateSessionRequest>) -> Answer<Session> {
        let asked = request.into_inner();
        self.answer(|s| {
            let (session, hash) = s.sessions.get_mut(&asked.session_id).ok_or_else(missing)?;
            if session.revoked || hash[..] != asked.old_refresh_hash[..] {
                session.revoked = true;
                return Err(Status::failed_precondition("refresh hash"));
            }
            *hash = asked.new_refresh_hash.to_vec();
            session.expires_at_ms = asked.expires_at_ms;
            Ok(session.clone())
        })
    }

    async fn revoke_session(&self, request: Request<RevokeSessionRequest>) -> Answer<RevokeSessionResponse> {
        let asked = request.into_inner();
        self.answer(|s| {
            let (session, _) = s.sessions.get_mut(&asked.session_id).ok_or_else(missing)?;
            if session.user_id != asked.user_id {
                return Err(missing());
            }
            session.revoked = true;
            Ok(RevokeSessionResponse {})
        })
    }
}

#[async_trait]
impl conversation_repo_server::ConversationRepo for MemoryRepo {
    async fn create_conversation(
        &self,
        request: Request<CreateConversationRequest>,
    ) -> Answer<ConversationHead> {
        let asked = request.into_inner();
        self.answer(|s| {
            let direct = asked.kind == ConversationKind::Direct as i32;
            let same: HashSet<u64> = asked.member_ids.iter().copied().collect();
            if direct {
                let found = s.conversations.iter().find(|(_, chat)| {
                    chat.kind == asked.kind && chat.members.keys().copied().collect::<HashSet<_>>() == same
                });
                if let Some((id, chat)) = found {
                    return Ok(chat.head(*id));
                }
            }
            let mut chat = Chat { kind: asked.kind, title: asked.title, version: 1, ..Chat::default() };
            for (n, id) in asked.member_ids.iter().enumerate() {
                let role = if n == 0 && !direct { Role::Owner } else { Role::Member };
                chat.members.insert(*id, role as i32);
            }
            let head = chat.head(asked.conversation_id);
            s.conversations.insert(asked.conversation_id, chat);
            Ok(head)
        })
    }

    async fn get_conversation(&self, request: Request<GetConversationRequest>) -> Answer<Conversation> {
        let asked = request.into_inner();
        self.answer(|s| {
            let chat = s.conversations.get(&asked.conversation_id).ok_or_else(missing)?;
            let role = *chat.members.get(&asked.viewer_id).ok_or_else(missing)?;
            Ok(Conversation {
                conversation_id: asked.conversation_id,
                kind: chat.kind,
                title: chat.title.clone(),
                last_seq: chat.messages.len() as u64,
                member_count: chat.members.len() as u32,
                members_version: chat.version,
                role,
                ..Conversation::default()
            })
        })
    }

    async fn list_conversations(
        &self,
        _: Request<ListConversationsRequest>,
    ) -> Answer<ListConversationsResponse> {
        self.answer(|_| Ok(ListConversationsResponse::default()))
    }

    async fn get_heads(&self, request: Request<GetHeadsRequest>) -> Answer<GetHeadsResponse> {
        let ids = request.into_inner().conversation_ids;
        self.answer(|s| {
            let heads =
                ids.iter().filter_map(|id| s.conversations.get(id).map(|chat| chat.head(*id))).collect();
            Ok(GetHeadsResponse { heads })
        })
    }

    async fn list_members(&self, request: Request<ListMembersRequest>) -> Answer<ListMembersResponse> {
        let asked = request.into_inner();
        self.answer(|s| {
            s.member_reads += 1;
            let chat = s.conversations.get(&asked.conversation_id).ok_or_else(missing)?;
            let limit = if asked.limit == 0 { 10_000 } else { asked.limit as usize };
            let mut after = chat.members.range(asked.after_user_id + 1..);
            let members = after.by_ref().take(limit).map(|(id, role)| Member {
                user_id: *id,
                role: *role,
                ..Member::default()
            });
            let members = members.collect();
            Ok(ListMembersResponse { members, more: after.next().is_some(), members_version: chat.version })
        })
    }

    async fn change_members(&self, request: Request<ChangeMembersRequest>) -> Answer<ConversationHead> {
        let asked = request.into_inner();
        self.answer(|s| {
            let chat = s.conversations.get_mut(&asked.conversation_id).ok_or_else(missing)?;
            for change in asked.changes {
                if change.role == 0 {
                    chat.members.remove(&change.user_id);
                } else {
                    chat.members.insert(change.user_id, change.role);
                }
            }
            chat.version += 1;
            Ok(chat.head(asked.conversation_id))
        })
    }
}

#[async_trait]
impl message_repo_server::MessageRepo for MemoryRepo {
    async fn append_messages(
        &self,
        request: Request<AppendMessagesRequest>,
    ) -> Answer<AppendMessagesResponse> {
        let asked = request.into_inner().messages;
        self.answer(|s| {
            s.appends += 1;
            if asked.iter().any(|m| Some(&m.text) == s.poison.as_ref()) {
                return Err(Status::invalid_argument("a text that can't be stored"));
            }
            let results = asked.into_iter().map(|new| append(s, new)).collect();
            Ok(AppendMessagesResponse { results })
        })
    }

    async fn list_messages(&self, request: Request<ListMessagesRequest>) -> Answer<ListMessagesResponse> {
        let asked = request.into_inner();
        self.answer(|s| {
            let chat = s.conversations.get(&asked.conversation_id).ok_or_else(missing)?;
            let last_seq = chat.messages.len() as u64;
            Ok(ListMessagesResponse { messages: chat.messages.clone(), more: false, last_seq })
        })
    }

    async fn advance_read_cursors(
        &self,
        request: Request<AdvanceReadCursorsRequest>,
    ) -> Answer<AdvanceReadCursorsResponse> {
        let mut cursors = request.into_inner().cursors;
        self.answer(|s| {
            for cursor in &mut cursors {
                let chat = s.conversations.get_mut(&cursor.conversation_id);
                cursor.seq = match chat.filter(|chat| chat.members.contains_key(&cursor.user_id)) {
                    None => 0,
                    Some(chat) => {
                        let last = chat.messages.len() as u64;
                        let at = chat.read.entry(cursor.user_id).or_default();
                        *at = cursor.seq.min(last).max(*at);
                        *at
                    }
                };
            }
            Ok(AdvanceReadCursorsResponse { cursors })
        })
    }

    async fn delete_expired(&self, _: Request<DeleteExpiredRequest>) -> Answer<DeleteExpiredResponse> {
        self.answer(|s| {
            s.expired_asked += 1;
            Ok(DeleteExpiredResponse { deleted: 0 })
        })
    }

    async fn read_stats(&self, _: Request<ReadStatsRequest>) -> Answer<ReadStatsResponse> {
        self.answer(|s| {
            s.stats_asked += 1;
            Ok(ReadStatsResponse::default())
        })
    }
}

fn append(s: &mut Stored, new: NewMessage) -> AppendResult {
    let Some(chat) = s.conversations.get_mut(&new.conversation_id) else {
        return AppendResult { status: Appended::NoConversation.into(), ..AppendResult::default() };
    };
    if chat.version != new.members_version {
        return AppendResult { status: Appended::MembersChanged.into(), ..AppendResult::default() };
    }
    let key = (new.sender_id, new.client_msg_id.clone());
    let replayed = chat.keys.contains_key(&key);
    let next = chat.messages.len();
    let at = *chat.keys.entry(key).or_insert(next);
    if !replayed {
        chat.messages.push(Message {
            conversation_id: new.conversation_id,
            seq: next as u64 + 1,
            message_id: new.message_id,
            sender_id: new.sender_id,
            client_msg_id: new.client_msg_id,
            text: new.text,
            sent_at_ms: new.sent_at_ms,
        });
    }
    let stored = &chat.messages[at];
    AppendResult {
        status: Appended::Stored.into(),
        seq: stored.seq,
        message_id: stored.message_id,
        sent_at_ms: stored.sent_at_ms,
        replayed,
    }
}
