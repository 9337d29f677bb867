//! New conversations. A direct chat is unique by its `direct_key`, "lower:higher".

use gochat_db::{Arg, Tx, values};
use gochat_proto::repo::{ConversationHead, CreateConversationRequest};
use gochat_proto::types::{ConversationKind, Role};
use tonic::Status;

use super::head;
use crate::check;
use crate::store::{Failure, Store, now_ms};

/// Members inserted by one statement.
const CHUNK: usize = 512;

/// The key of the chat between two users.
pub(crate) fn direct_key(a: u64, b: u64) -> String {
    format!("{}:{}", a.min(b), a.max(b))
}

/// The other one of a direct chat.
pub(crate) fn peer(direct_key: &str, viewer: u64) -> Option<u64> {
    let (low, high) = direct_key.split_once(':')?;
    let (low, high) = (low.parse().ok()?, high.parse().ok()?);
    Some(if low == viewer { high } else { low })
}

pub(crate) async fn create(
    store: &Store,
    asked: CreateConversationRequest,
) -> Result<ConversationHead, Status> {
    check::id("conversation_id", asked.conversation_id)?;
    check::text("title", &asked.title, 255)?;
    check::count("member_ids", asked.member_ids.len(), check::MOST_MEMBERS)?;
    for id in &asked.member_ids {
        check::id("member_ids", *id)?;
    }
    let mut seen = std::collections::HashSet::new();
    let members: Vec<u64> = asked.member_ids.iter().copied().filter(|id| seen.insert(*id)).collect();
    let direct_key = match (asked.kind(), members.as_slice()) {
        (ConversationKind::Direct, [a, b]) => Some(direct_key(*a, *b)),
        (ConversationKind::Direct, _) => {
            return Err(check::invalid("member_ids", "a direct chat has exactly two different members"));
        }
        (ConversationKind::Group, [_, ..]) => None,
        (ConversationKind::Group, []) => return Err(check::invalid("member_ids", "empty")),
        (ConversationKind::Unspecified, _) => return Err(check::invalid("kind", "not set")),
    };
    let new = New { asked: &asked, direct_key, members };
    store.run("create_conversation", || new.find_or_insert(store)).await
}

struct New<'a> {
    asked: &'a CreateConversationRequest,
    direct_key: Option<String>,
    members: Vec<u64>,
}

impl New<'_> {
    async fn find_or_insert(&self, store: &Store) -> Result<ConversationHead, Failure> {
        let mut tx = store.db.begin().await?;
        match self.insert(&mut tx).await {
            Err(error) if error.is_duplicate() => tx.rollback().await?,
            Err(error) => return Err(error.into()),
            Ok(()) => {
                tx.commit().await?;
                return Ok(ConversationHead {
                    conversation_id: self.asked.conversation_id,
                    kind: self.asked.kind,
                    title: self.asked.title.clone(),
                    members_version: 1,
                    member_count: u32::try_from(self.members.len()).unwrap_or(u32::MAX),
                    last_seq: 0,
                });
            }
        }
        // The direct chat that there is; or our own, where the first attempt got no answer.
        let (wanted, arg) = match &self.direct_key {
            Some(key) => ("direct_key", Arg::from(key.as_str())),
            None => ("conversation_id", Arg::from(self.asked.conversation_id)),
        };
        let rows =
            store.db.fetch(format!("{} WHERE c.{wanted} = ?", head::select(&store.db)), &[arg]).await?;
        match rows.first().map(head::read).transpose()? {
            Some(head) if head.kind == self.asked.kind => Ok(head),
            _ => Err(Status::already_exists("the conversation id is taken").into()),
        }
    }

    async fn insert(&self, tx: &mut Tx) -> Result<(), gochat_db::DbError> {
        const INSERT: &str = "INSERT INTO conversations (conversation_id, kind, title, direct_key, members_version, \
                              member_count, created_at_ms) VALUES (?, ?, ?, ?, 1, ?, ?)";
        let now = now_ms();
        let args = [
            self.asked.conversation_id.into(),
            i64::from(self.asked.kind).into(),
            self.asked.title.as_str().into(),
            self.direct_key.as_deref().map_or(Arg::Null, Arg::from),
            (self.members.len() as u64).into(),
            now.into(),
        ];
        tx.execute(INSERT, &args).await?;
        let first = if self.direct_key.is_some() { Role::Member } else { Role::Owner };
        let roles = std::iter::once(first).chain(std::iter::repeat(Role::Member));
        let rows: Vec<(u64, Role)> = self.members.iter().copied().zip(roles).collect();
        insert_members(tx, self.asked.conversation_id, &rows, 0).await
    }
}

/// Adds members that have read up to `read_seq`.
pub(crate) async fn insert_members(
    tx: &mut Tx,
    conversation: u64,
    members: &[(u64, Role)],
    read_seq: u64,
) -> Result<(), gochat_db::DbError> {
    let now = now_ms();
    for chunk in members.chunks(CHUNK) {
        let sql = format!(
            "INSERT INTO members (conversation_id, user_id, role, read_seq, joined_at_ms) VALUES {}",
            values(5, chunk.len())
        );
        let args: Vec<Arg<'_>> = chunk
            .iter()
            .flat_map(|(user, role)| {
                [
                    conversation.into(),
                    (*user).into(),
                    i64::from(*role as i32).into(),
                    read_seq.into(),
                    now.into(),
                ]
            })
            .collect();
        tx.execute(sql, &args).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_chat_has_one_key_whoever_starts_it() {
        assert_eq!(direct_key(9, 10), direct_key(10, 9));
        assert_eq!(peer("9:10", 9), Some(10));
        assert_eq!(peer("9:10", 10), Some(9));
        assert!(direct_key(u64::MAX, u64::MAX - 1).len() <= 41);
    }
}
