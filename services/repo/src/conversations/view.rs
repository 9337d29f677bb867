//! Conversations as one of their members sees them. A page costs one query for the list, one for each 64 of what is
//! unread and of the last messages, and one for the peers.

use std::collections::HashMap;

use gochat_db::{Arg, Db, Row, pairs};
use gochat_proto::repo::{GetConversationRequest, ListConversationsRequest, ListConversationsResponse};
use gochat_proto::types::{Conversation, Message};
use tonic::Status;

use super::create::peer;
use super::head::last_seq;
use crate::check;
use crate::messages::history;
use crate::store::{Failure, Store, padded};
use crate::users;

/// Unread messages are counted one by one only so far past the cursor; of those beyond, the reader's own are counted too.
/// It bounds what a page can cost, and nobody tells 103 from 104.
const COUNTED: u64 = 100;
/// Last messages read, and unread ones counted, by one statement.
const CHUNK: usize = 64;

fn select(db: &Db) -> String {
    let last_seq = last_seq(db, "c");
    format!(
        "SELECT c.conversation_id, c.kind, c.title, c.members_version, c.member_count, c.direct_key, m.role, m.read_seq, \
         {last_seq} FROM members m JOIN conversations c ON c.conversation_id = m.conversation_id WHERE m.user_id = ?"
    )
}

pub(crate) async fn get(store: &Store, asked: GetConversationRequest) -> Result<Conversation, Status> {
    let sql = format!("{} AND m.conversation_id = ?", select(&store.db));
    let args = [asked.viewer_id.into(), asked.conversation_id.into()];
    let found = store
        .run("get_conversation", || async {
            let rows = store.db.fetch(sql.clone(), &args).await?;
            complete(store, asked.viewer_id, &rows).await
        })
        .await?;
    found.into_iter().next().ok_or_else(|| Status::not_found("no such conversation of this member"))
}

/// By falling conversation id; a page's token is the last id of the page before.
pub(crate) async fn list(
    store: &Store,
    asked: ListConversationsRequest,
) -> Result<ListConversationsResponse, Status> {
    check::id("viewer_id", asked.viewer_id)?;
    let before = match asked.page.as_str() {
        "" => u64::MAX,
        page => {
            u64::from_str_radix(page, 36).map_err(|_| check::invalid("page", "not one that was given out"))?
        }
    };
    let limit = check::limit(asked.limit, 100, 200);
    let sql =
        format!("{} AND m.conversation_id < ? ORDER BY m.conversation_id DESC LIMIT ?", select(&store.db));
    let args = [asked.viewer_id.into(), before.into(), (limit as u64 + 1).into()];
    store
        .run("list_conversations", || async {
            let mut rows = store.db.fetch(sql.clone(), &args).await?;
            let more = rows.len() > limit;
            rows.truncate(limit);
            let conversations = complete(store, asked.viewer_id, &rows).await?;
            let last = conversations.last().filter(|_| more);
            let next_page = last.map(|last| radix_36(last.conversation_id)).unwrap_or_default();
            Ok(ListConversationsResponse { conversations, next_page })
        })
        .await
}

/// Adds what stands in other tables: the last messages, the peers.
async fn complete(store: &Store, viewer: u64, rows: &[Row]) -> Result<Vec<Conversation>, Failure> {
    let mut conversations = Vec::with_capacity(rows.len());
    let mut peers = HashMap::new();
    for row in rows {
        let conversation = read(row)?;
        if let Some(peer) = row.text_or_null(5)?.and_then(|key| peer(&key, viewer)) {
            peers.insert(conversation.conversation_id, peer);
        }
        conversations.push(conversation);
    }
    let mut unread = unread(store, viewer, &conversations).await?;
    let mut last = last_messages(store, &conversations).await?;
    let ids: Vec<u64> = peers.values().copied().collect();
    let users: HashMap<u64, _> =
        users::by_ids(store, &ids).await?.into_iter().map(|user| (user.user_id, user)).collect();
    for conversation in &mut conversations {
        let id = conversation.conversation_id;
        conversation.unread += unread.remove(&id).unwrap_or_default();
        conversation.last_message = last.remove(&id);
        conversation.peer = peers.get(&id).and_then(|peer| users.get(peer)).cloned();
    }
    Ok(conversations)
}

/// By conversation, the messages of others within [`COUNTED`] past the cursor. Not a subquery of the list: MySQL would
/// read all of each conversation for it, since the bounds are another row's.
async fn unread(
    store: &Store,
    viewer: u64,
    conversations: &[Conversation],
) -> Result<HashMap<u64, u64>, Failure> {
    const ONE: &str = "(x.conversation_id=? AND x.seq>? AND x.seq<=?)";
    let places: Vec<(u64, u64, u64)> = conversations
        .iter()
        .filter(|c| c.last_seq > c.read_seq)
        .map(|c| (c.conversation_id, c.read_seq, c.last_seq.min(c.read_seq.saturating_add(COUNTED))))
        .collect();
    let mut found = HashMap::with_capacity(places.len());
    for chunk in places.chunks(CHUNK) {
        let sql = format!(
            "SELECT x.conversation_id, COUNT(*) FROM messages x{} WHERE ({}) AND x.sender_id <> ? \
             GROUP BY x.conversation_id",
            store.db.by_primary_key(),
            vec![ONE; chunk.len().next_power_of_two()].join(" OR ")
        );
        let args: Vec<Arg<'_>> = padded(chunk)
            .flat_map(|(id, after, to)| [id, after, to])
            .chain(std::iter::once(viewer))
            .map(Arg::from)
            .collect();
        for row in store.db.fetch(sql, &args).await? {
            found.insert(row.uint(0)?, row.uint(1)?);
        }
    }
    Ok(found)
}

async fn last_messages(
    store: &Store,
    conversations: &[Conversation],
) -> Result<HashMap<u64, Message>, Failure> {
    let places: Vec<(u64, u64)> =
        conversations.iter().filter(|c| c.last_seq > 0).map(|c| (c.conversation_id, c.last_seq)).collect();
    let mut found = HashMap::with_capacity(places.len());
    for chunk in places.chunks(CHUNK) {
        let sql = format!("{} WHERE {}", history::SELECT, pairs("conversation_id", "seq", chunk.len()));
        let args: Vec<Arg<'_>> = padded(chunk).flat_map(|(id, seq)| [id.into(), seq.into()]).collect();
        for row in store.db.fetch(sql, &args).await? {
            let message = history::read(&row)?;
            found.insert(message.conversation_id, message);
        }
    }
    Ok(found)
}

fn read(row: &Row) -> Result<Conversation, Failure> {
    let (read_seq, last_seq) = (row.uint(7)?, row.uint(8)?);
    Ok(Conversation {
        conversation_id: row.uint(0)?,
        kind: i32::try_from(row.int(1)?).unwrap_or_default(),
        title: row.text(2)?,
        members_version: row.uint(3)?,
        member_count: u32::try_from(row.uint(4)?).unwrap_or(u32::MAX),
        role: i32::try_from(row.int(6)?).unwrap_or_default(),
        read_seq,
        last_seq,
        unread: last_seq.saturating_sub(read_seq.saturating_add(COUNTED)),
        peer: None,
        last_message: None,
    })
}

/// Short, and nothing that a client would compute with.
fn radix_36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(u32::try_from(number % 36).unwrap_or_default(), 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_is_read_back_as_it_was_written() {
        for id in [0, 35, 36, 7_300_000_000_000_000_001, u64::MAX] {
            assert_eq!(u64::from_str_radix(&radix_36(id), 36), Ok(id));
        }
    }
}
