//! Member lists and their changes. `members_version` moves with every change, so that whoever authorised by an older list
//! is noticed when it stores (see `messages::append`).

use std::collections::BTreeMap;

use gochat_db::{Arg, Tx, placeholders};
use gochat_proto::repo::{ChangeMembersRequest, ConversationHead, ListMembersRequest, ListMembersResponse};
use gochat_proto::types::{ConversationKind, Member, Role};
use tonic::Status;

use super::create::insert_members;
use super::head;
use crate::check;
use crate::store::{Failure, Store, padded};

/// Members changed by one statement.
const CHUNK: usize = 512;
const MOST_LISTED: u32 = 10_000;

/// One statement, so that members and version are of the same moment. A version newer than the list would let a removed
/// member write.
pub(crate) async fn list(store: &Store, asked: ListMembersRequest) -> Result<ListMembersResponse, Status> {
    const LIST: &str = "SELECT c.members_version, m.user_id, m.role, m.read_seq, m.joined_at_ms FROM conversations c \
        LEFT JOIN members m ON m.conversation_id = c.conversation_id AND m.user_id > ? \
        WHERE c.conversation_id = ? ORDER BY m.user_id LIMIT ?";
    check::id("conversation_id", asked.conversation_id)?;
    let limit = check::limit(asked.limit, MOST_LISTED, MOST_LISTED);
    let args = [asked.after_user_id.into(), asked.conversation_id.into(), (limit as u64 + 1).into()];
    store
        .run("list_members", || async {
            let rows = store.db.fetch(LIST, &args).await?;
            let first = rows.first().ok_or_else(|| Status::not_found("no such conversation"))?;
            let members_version = first.uint(0)?;
            let mut members = Vec::with_capacity(rows.len());
            for row in rows.iter().take(limit) {
                let user_id = row.uint(1)?;
                if user_id != 0 {
                    members.push(Member {
                        user_id,
                        role: i32::try_from(row.int(2)?).unwrap_or_default(),
                        read_seq: row.uint(3)?,
                        joined_at_ms: row.int(4)?,
                    });
                }
            }
            Ok(ListMembersResponse { members, more: rows.len() > limit, members_version })
        })
        .await
}

pub(crate) async fn change(store: &Store, asked: ChangeMembersRequest) -> Result<ConversationHead, Status> {
    check::id("conversation_id", asked.conversation_id)?;
    check::count("changes", asked.changes.len(), check::MOST_MEMBERS)?;
    // The last word on a user counts; sorted, so that rows are locked in one order by all.
    let mut wanted = BTreeMap::new();
    for change in &asked.changes {
        wanted.insert(check::id("changes.user_id", change.user_id)?, change.role());
    }
    store.run("change_members", || try_change(store, &asked, &wanted)).await
}

async fn try_change(
    store: &Store,
    asked: &ChangeMembersRequest,
    wanted: &BTreeMap<u64, Role>,
) -> Result<ConversationHead, Failure> {
    const MOVE: &str =
        "UPDATE conversations SET members_version = ?, member_count = ? WHERE conversation_id = ?";
    let id = asked.conversation_id;
    let mut tx = store.db.begin().await?;
    // Locked first and read second: the last seq has to be of after the wait.
    let lock = format!("SELECT kind FROM conversations WHERE conversation_id = ?{}", store.db.for_update());
    tx.fetch(lock, &[id.into()]).await?;
    let rows =
        tx.fetch(format!("{} WHERE c.conversation_id = ?", head::select(&store.db)), &[id.into()]).await?;
    let Some(mut head) = rows.first().map(head::read).transpose()? else {
        tx.rollback().await?;
        return Err(Status::not_found("no such conversation").into());
    };
    if head.kind() != ConversationKind::Group {
        tx.rollback().await?;
        return Err(Status::failed_precondition("the members of a direct chat don't change").into());
    }
    let plan = Plan::make(wanted, &roles(&mut tx, id, wanted).await?);
    let count = (head.member_count as usize + plan.add.len()).saturating_sub(plan.remove.len());
    if asked.max_members > 0 && !plan.add.is_empty() && count > asked.max_members as usize {
        tx.rollback().await?;
        let text = format!("the group would have {count} members, {} are allowed", asked.max_members);
        return Err(Status::resource_exhausted(text).into());
    }
    if plan.is_empty() {
        tx.rollback().await?;
        return Ok(head);
    }
    // Who joins has nothing unread: it starts at the end.
    insert_members(&mut tx, id, &plan.add, head.last_seq).await?;
    for chunk in plan.remove.chunks(CHUNK) {
        let sql = format!(
            "DELETE FROM members WHERE conversation_id = ? AND user_id IN ({})",
            placeholders(chunk.len())
        );
        let args: Vec<Arg<'_>> = std::iter::once(id).chain(padded(chunk)).map(Arg::from).collect();
        tx.execute(sql, &args).await?;
    }
    for (user, role) in &plan.promote {
        const PROMOTE: &str = "UPDATE members SET role = ? WHERE conversation_id = ? AND user_id = ?";
        tx.execute(PROMOTE, &[i64::from(*role as i32).into(), id.into(), (*user).into()]).await?;
    }
    head.members_version += 1;
    head.member_count = u32::try_from(count).unwrap_or(u32::MAX);
    tx.execute(MOVE, &[head.members_version.into(), u64::from(head.member_count).into(), id.into()]).await?;
    tx.commit().await?;
    Ok(head)
}

async fn roles(
    tx: &mut Tx,
    conversation: u64,
    wanted: &BTreeMap<u64, Role>,
) -> Result<BTreeMap<u64, i64>, Failure> {
    let users: Vec<u64> = wanted.keys().copied().collect();
    let mut roles = BTreeMap::new();
    for chunk in users.chunks(CHUNK) {
        let sql = format!(
            "SELECT user_id, role FROM members WHERE conversation_id = ? AND user_id IN ({})",
            placeholders(chunk.len())
        );
        let args: Vec<Arg<'_>> = std::iter::once(conversation).chain(padded(chunk)).map(Arg::from).collect();
        for row in tx.fetch(sql, &args).await? {
            roles.insert(row.uint(0)?, row.int(1)?);
        }
    }
    Ok(roles)
}

/// What differs between what is and what is wanted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    add: Vec<(u64, Role)>,
    remove: Vec<u64>,
    promote: Vec<(u64, Role)>,
}

impl Plan {
    fn make(wanted: &BTreeMap<u64, Role>, roles: &BTreeMap<u64, i64>) -> Self {
        let mut plan = Self::default();
        for (user, role) in wanted {
            match (roles.get(user), *role) {
                (None, Role::Unspecified) => {}
                (None, role) => plan.add.push((*user, role)),
                (Some(_), Role::Unspecified) => plan.remove.push(*user),
                (Some(current), role) if *current == i64::from(role as i32) => {}
                (Some(_), role) => plan.promote.push((*user, role)),
            }
        }
        plan
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
