//! The hot path: a batch for many conversations, stored in one transaction.
//!
//! Three round trips where nothing is unusual: BEGIN with the locks and the last seqs, one INSERT, COMMIT. Whoever
//! appends to a conversation holds its row's lock until it has committed; so the last seq read after the lock is the
//! last one, and the next is free. Locks are taken in order of id, so appends don't deadlock with each other.
//!
//! Replays are rare (a consumer that restarted), so nobody looks for them before the insert: a duplicate key says that
//! there is one. Then the transaction is rolled back and runs again, looking.

use std::collections::HashMap;

use gochat_db::{Arg, DbError, Row, Tx, values};
use gochat_proto::repo::{AppendMessagesRequest, AppendMessagesResponse, AppendResult, NewMessage};
use tonic::Status;

use super::assign::{Key, Locked, Stored, assign, key};
use crate::check;
use crate::conversations::head::last_seq;
use crate::store::{Failure, Store, padded};

/// Replays looked up by one statement.
const LOOKED_UP: usize = 64;

pub(crate) async fn append(
    store: &Store,
    asked: AppendMessagesRequest,
) -> Result<AppendMessagesResponse, Status> {
    check::count("messages", asked.messages.len(), check::MOST_PER_BATCH)?;
    asked.messages.iter().try_for_each(check::message)?;
    if asked.messages.is_empty() {
        return Ok(AppendMessagesResponse::default());
    }
    let messages = asked.messages.as_slice();
    let results = store
        .run("append_messages", || async {
            match attempt(store, messages, false).await {
                Err(Failure::Db(error)) if error.is_duplicate() => attempt(store, messages, true).await,
                done => done,
            }
        })
        .await?;
    metrics::counter!("gochat_repo_messages_total").increment(results.len() as u64);
    Ok(AppendMessagesResponse { results })
}

async fn attempt(store: &Store, messages: &[NewMessage], look: bool) -> Result<Vec<AppendResult>, Failure> {
    let (mut tx, answers) = store.db.begin_reading(&opening(store, messages)).await?;
    let mut locked = read_locked(&answers)?;
    let stale = |m: &&NewMessage| {
        locked.get(&m.conversation_id).is_some_and(|locked| locked.members_version != m.members_version)
    };
    let suspects: Vec<Key<'_>> = messages.iter().filter(|m| look || stale(m)).map(key).collect();
    let stored = look_up(&mut tx, messages, &suspects).await?;
    let (results, insert) = assign(messages, &mut locked, &stored);
    if insert.is_empty() {
        tx.rollback().await?;
        return Ok(results);
    }
    let rows: Vec<(&NewMessage, u64)> =
        insert.iter().filter_map(|index| Some((messages.get(*index)?, results.get(*index)?.seq))).collect();
    match store_rows(&mut tx, &rows).await {
        Ok(()) => tx.commit().await?,
        Err(error) => {
            // Keeps the connection; where that fails too, the connection is what is lost.
            let _ = tx.rollback().await;
            return Err(error.into());
        }
    }
    Ok(results)
}

/// Locks, then reads: in READ COMMITTED the second query sees what was committed while the first one waited. In one
/// query it would not.
fn opening(store: &Store, messages: &[NewMessage]) -> [String; 2] {
    let mut ids: Vec<u64> = messages.iter().map(|m| m.conversation_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let list = ids.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    [
        format!(
            "SELECT conversation_id, members_version FROM conversations WHERE conversation_id IN ({list}) \
             ORDER BY conversation_id{}",
            store.db.for_update()
        ),
        format!(
            "SELECT c.conversation_id, {} FROM conversations c WHERE c.conversation_id IN ({list})",
            last_seq(&store.db, "c")
        ),
    ]
}

fn read_locked(answers: &[Vec<Row>]) -> Result<HashMap<u64, Locked>, Failure> {
    let [versions, last] = answers else { return Ok(HashMap::new()) };
    let mut locked = HashMap::with_capacity(versions.len());
    for row in versions {
        locked.insert(row.uint(0)?, Locked { members_version: row.uint(1)?, last_seq: 0 });
    }
    for row in last {
        if let Some(locked) = locked.get_mut(&row.uint(0)?) {
            locked.last_seq = row.uint(1)?;
        }
    }
    Ok(locked)
}

async fn look_up<'a>(
    tx: &mut Tx,
    messages: &'a [NewMessage],
    suspects: &[Key<'a>],
) -> Result<HashMap<Key<'a>, Stored>, Failure> {
    const ONE: &str = "(conversation_id=? AND sender_id=? AND client_msg_id=?)";
    let keys: HashMap<Key<'a>, Key<'a>> = messages.iter().map(|m| (key(m), key(m))).collect();
    let mut found = HashMap::new();
    for chunk in suspects.chunks(LOOKED_UP) {
        let sql = format!(
            "SELECT conversation_id, sender_id, client_msg_id, seq, message_id, sent_at_ms FROM messages WHERE {}",
            vec![ONE; chunk.len().next_power_of_two()].join(" OR ")
        );
        let args: Vec<Arg<'_>> =
            padded(chunk).flat_map(|(c, s, id)| [c.into(), s.into(), Arg::from(id)]).collect();
        for row in tx.fetch(sql, &args).await? {
            let client_msg_id = row.text(2)?;
            let stored = Stored { seq: row.uint(3)?, message_id: row.uint(4)?, sent_at_ms: row.int(5)? };
            if let Some(key) = keys.get(&(row.uint(0)?, row.uint(1)?, client_msg_id.as_str())) {
                found.insert(*key, stored);
            }
        }
    }
    Ok(found)
}

async fn store_rows(tx: &mut Tx, mut rows: &[(&NewMessage, u64)]) -> Result<(), DbError> {
    while !rows.is_empty() {
        let (chunk, rest) = rows.split_at(chunk(rows.len()));
        rows = rest;
        let sql = format!(
            "INSERT INTO messages (conversation_id, seq, message_id, sender_id, client_msg_id, sent_at_ms, body) VALUES {}",
            values(7, chunk.len())
        );
        let args: Vec<Arg<'_>> = chunk
            .iter()
            .flat_map(|(m, seq)| {
                [
                    m.conversation_id.into(),
                    (*seq).into(),
                    m.message_id.into(),
                    m.sender_id.into(),
                    m.client_msg_id.as_str().into(),
                    m.sent_at_ms.into(),
                    m.text.as_str().into(),
                ]
            })
            .collect();
        tx.execute(sql, &args).await?;
    }
    Ok(())
}

/// Rows of the next INSERT. Each length is a statement to be prepared and kept; so up to 32 there is one of each length
/// (a small batch is one round trip), above that the powers of two.
fn chunk(rows: usize) -> usize {
    match rows {
        0..=32 => rows,
        512.. => 512,
        rows => 1 << rows.ilog2(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_batch_is_stored_in_few_statements_of_few_lengths() {
        let mut lengths = std::collections::BTreeSet::new();
        for batch in 1..=check::MOST_PER_BATCH {
            let (mut left, mut statements) = (batch, 0);
            while left > 0 {
                lengths.insert(chunk(left));
                left -= chunk(left);
                statements += 1;
            }
            assert!(statements <= if batch <= 32 { 1 } else { 6 }, "{batch}: {statements}");
        }
        assert_eq!(lengths.len(), 36);
    }
}
