//! Forgets old messages. The newest of each conversation stays: the next seq is counted from it.

use std::collections::BTreeMap;

use gochat_db::{Arg, placeholders};
use gochat_proto::repo::{DeleteExpiredRequest, DeleteExpiredResponse};
use tonic::Status;

use crate::check;
use crate::conversations::head::last_seq;
use crate::store::{Store, padded};

/// Messages deleted by one statement.
const CHUNK: usize = 256;

/// Oldest first. Each statement commits by itself: locks are short, and a repetition goes on where it stopped.
///
/// # Caveats
/// The newest message of each idle conversation is passed over again by every call.
pub(crate) async fn delete_expired(
    store: &Store,
    asked: DeleteExpiredRequest,
) -> Result<DeleteExpiredResponse, Status> {
    let expired = format!(
        "SELECT m.conversation_id, m.seq FROM messages m WHERE m.sent_at_ms < ? AND m.seq < {} \
         ORDER BY m.sent_at_ms LIMIT ?",
        last_seq(&store.db, "m")
    );
    let limit = check::limit(asked.limit, 1_000, 10_000);
    let deleted = store
        .run("delete_expired", || async {
            let rows =
                store.db.fetch(expired.clone(), &[asked.before_ms.into(), (limit as u64).into()]).await?;
            let mut expired: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
            for row in &rows {
                expired.entry(row.uint(0)?).or_default().push(row.uint(1)?);
            }
            let mut deleted = 0;
            for (conversation, seqs) in &expired {
                for chunk in seqs.chunks(CHUNK) {
                    let sql = format!(
                        "DELETE FROM messages WHERE conversation_id = ? AND seq IN ({})",
                        placeholders(chunk.len())
                    );
                    let args: Vec<Arg<'_>> =
                        std::iter::once(*conversation).chain(padded(chunk)).map(Arg::from).collect();
                    deleted += store.db.execute(sql, &args).await?;
                }
            }
            Ok(deleted)
        })
        .await?;
    Ok(DeleteExpiredResponse { deleted: u32::try_from(deleted).unwrap_or(u32::MAX) })
}
