//! Counters over a span of time, read off the index `messages_sent` alone.

use gochat_proto::repo::{GroupActivity, ReadStatsRequest, ReadStatsResponse};
use gochat_proto::types::ConversationKind;
use tonic::Status;

use crate::check;
use crate::store::Store;

pub(crate) async fn read(store: &Store, asked: ReadStatsRequest) -> Result<ReadStatsResponse, Status> {
    const COUNT: &str =
        "SELECT COUNT(DISTINCT sender_id), COUNT(*) FROM messages WHERE sent_at_ms >= ? AND sent_at_ms < ?";
    const GROUPS: &str = "SELECT t.conversation_id, t.n FROM \
        (SELECT conversation_id, COUNT(*) AS n FROM messages WHERE sent_at_ms >= ? AND sent_at_ms < ? \
         GROUP BY conversation_id) t \
        JOIN conversations c ON c.conversation_id = t.conversation_id WHERE c.kind = ? \
        ORDER BY t.n DESC, t.conversation_id LIMIT ?";
    if asked.from_ms > asked.to_ms {
        return Err(check::invalid("from_ms", "after to_ms"));
    }
    let group = i64::from(ConversationKind::Group as i32);
    let top = u64::from(asked.top_groups.min(1_000));
    store
        .run("read_stats", || async {
            let span = [asked.from_ms.into(), asked.to_ms.into()];
            let counts = store.db.fetch(COUNT, &span).await?;
            let (active_senders, messages) = match counts.first() {
                Some(row) => (row.uint(0)?, row.uint(1)?),
                None => (0, 0),
            };
            let mut groups = Vec::new();
            if top > 0 {
                let args = [asked.from_ms.into(), asked.to_ms.into(), group.into(), top.into()];
                for row in store.db.fetch(GROUPS, &args).await? {
                    groups.push(GroupActivity { conversation_id: row.uint(0)?, messages: row.uint(1)? });
                }
            }
            Ok(ReadStatsResponse { active_senders, messages, groups })
        })
        .await
}
