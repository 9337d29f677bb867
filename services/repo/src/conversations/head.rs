//! What every member sees alike.

use gochat_db::{Arg, Db, Row, placeholders};
use gochat_proto::repo::{ConversationHead, GetHeadsRequest, GetHeadsResponse};
use tonic::Status;

use crate::check;
use crate::store::{Failure, Store, padded};

/// The last seq of conversation `outer.conversation_id`, off the end of the primary key. Not MAX(), and not by another
/// index: in a subquery that depends on an outer row MySQL reads all of the conversation for either.
pub(crate) fn last_seq(db: &Db, outer: &str) -> String {
    let by_primary_key = db.by_primary_key();
    format!(
        "(SELECT x.seq FROM messages x{by_primary_key} WHERE x.conversation_id = {outer}.conversation_id \
         ORDER BY x.seq DESC LIMIT 1)"
    )
}

/// Columns of a head, to be followed by a WHERE.
pub(crate) fn select(db: &Db) -> String {
    let last_seq = last_seq(db, "c");
    format!(
        "SELECT c.conversation_id, c.kind, c.title, c.members_version, c.member_count, {last_seq} FROM conversations c"
    )
}

pub(crate) fn read(row: &Row) -> Result<ConversationHead, Failure> {
    Ok(ConversationHead {
        conversation_id: row.uint(0)?,
        kind: i32::try_from(row.int(1)?).unwrap_or_default(),
        title: row.text(2)?,
        members_version: row.uint(3)?,
        member_count: u32::try_from(row.uint(4)?).unwrap_or(u32::MAX),
        last_seq: row.uint(5)?,
    })
}

/// The ones that exist.
pub(crate) async fn get(store: &Store, asked: GetHeadsRequest) -> Result<GetHeadsResponse, Status> {
    let ids = asked.conversation_ids;
    check::count("conversation_ids", ids.len(), check::MOST_IDS)?;
    if ids.is_empty() {
        return Ok(GetHeadsResponse::default());
    }
    let args: Vec<Arg<'_>> = padded(&ids).map(Arg::from).collect();
    let heads = store
        .run("get_heads", || async {
            let sql =
                format!("{} WHERE c.conversation_id IN ({})", select(&store.db), placeholders(ids.len()));
            store.db.fetch(sql, &args).await?.iter().map(read).collect()
        })
        .await?;
    Ok(GetHeadsResponse { heads })
}
