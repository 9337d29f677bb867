//! Pages of a conversation's messages, by seq, both ways.

use gochat_db::Row;
use gochat_proto::repo::{ListMessagesRequest, ListMessagesResponse};
use gochat_proto::types::Message;
use tonic::Status;

use crate::check;
use crate::conversations::head::last_seq;
use crate::store::{Failure, Store};

/// Columns of a message, to be followed by a WHERE.
pub(crate) const SELECT: &str = "SELECT conversation_id, seq, message_id, sender_id, client_msg_id, body, sent_at_ms \
                                 FROM messages";

pub(crate) fn read(row: &Row) -> Result<Message, Failure> {
    Ok(Message {
        conversation_id: row.uint(0)?,
        seq: row.uint(1)?,
        message_id: row.uint(2)?,
        sender_id: row.uint(3)?,
        client_msg_id: row.text(4)?,
        text: row.text(5)?,
        sent_at_ms: row.int(6)?,
    })
}

/// In rising seq, whichever way is asked; `more` is of that way.
pub(crate) async fn list(store: &Store, asked: ListMessagesRequest) -> Result<ListMessagesResponse, Status> {
    let id = check::id("conversation_id", asked.conversation_id)?;
    let limit = check::limit(asked.limit, 100, 500);
    let (edge, upwards, way) = match (asked.after_seq, asked.before_seq) {
        (Some(_), Some(_)) => return Err(check::invalid("after_seq, before_seq", "both set")),
        (Some(after), None) => (after, true, "seq > ? ORDER BY seq"),
        (None, before) => (before.unwrap_or(u64::MAX), false, "seq < ? ORDER BY seq DESC"),
    };
    let page = format!("{SELECT} WHERE conversation_id = ? AND {way} LIMIT ?");
    let last = last_seq(&store.db, "c");
    let last = format!("SELECT {last} FROM conversations c WHERE c.conversation_id = ?");
    store
        .run("list_messages", || async {
            let args = [id.into(), edge.into(), (limit as u64 + 1).into()];
            let mut rows = store.db.fetch(page.clone(), &args).await?;
            // After the page, so that it is never below it.
            let last = store.db.fetch(last.clone(), &[id.into()]).await?;
            let last_seq = last.first().map_or(Ok(0), |row| row.uint(0))?;
            let more = rows.len() > limit;
            rows.truncate(limit);
            let mut messages = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            if !upwards {
                messages.reverse();
            }
            Ok(ListMessagesResponse { messages, more, last_seq })
        })
        .await
}
