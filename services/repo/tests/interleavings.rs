//! Any interleaving of appends and replays leaves seqs without gaps and ids that stay.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unused_async,
    clippy::used_underscore_binding,
    clippy::items_after_statements,
    reason = "helpers of tests fail the test"
)]

use std::collections::HashMap;

use gochat_db::{Db, DbConfig};
use gochat_proto::repo::conversation_repo_server::ConversationRepo;
use gochat_proto::repo::message_repo_server::MessageRepo;
use gochat_proto::repo::{AppendMessagesRequest, CreateConversationRequest, NewMessage};
use gochat_proto::types::ConversationKind;
use gochat_repo::Repo;
use proptest::prelude::*;
use tonic::Request;

/// A batch: (conversation, sender, client_msg_id) of few values, so that they meet again.
fn batches() -> impl Strategy<Value = Vec<Vec<(u64, u64, u8)>>> {
    prop::collection::vec(prop::collection::vec((1u64..4, 1u64..3, 0u8..12), 1..20), 1..12)
}

async fn holds(batches: Vec<Vec<(u64, u64, u8)>>) {
    let db = Db::connect(&DbConfig::default()).await.unwrap();
    gochat_repo::migrate(&db).await.unwrap();
    let repo = Repo::new(db);
    for conversation_id in 1..4 {
        let request = CreateConversationRequest {
            conversation_id,
            kind: ConversationKind::Group.into(),
            title: String::new(),
            member_ids: vec![1, 2],
        };
        repo.create_conversation(Request::new(request)).await.unwrap();
    }
    let mut ids = 0;
    let mut known: HashMap<(u64, u64, u8), (u64, u64)> = HashMap::new();
    let mut last: HashMap<u64, u64> = HashMap::new();
    for batch in batches {
        let messages = batch
            .iter()
            .map(|(conversation_id, sender_id, client)| {
                ids += 1;
                NewMessage {
                    message_id: ids,
                    conversation_id: *conversation_id,
                    sender_id: *sender_id,
                    client_msg_id: client.to_string(),
                    text: String::new(),
                    sent_at_ms: 0,
                    members_version: 1,
                }
            })
            .collect();
        let request = Request::new(AppendMessagesRequest { messages });
        let results = repo.append_messages(request).await.unwrap().into_inner().results;
        assert_eq!(results.len(), batch.len());
        for (key, result) in batch.into_iter().zip(results) {
            let place = (result.seq, result.message_id);
            if result.replayed {
                assert_eq!(known.get(&key), Some(&place));
            } else {
                let last = last.entry(key.0).or_default();
                *last += 1;
                assert_eq!(result.seq, *last);
                assert_eq!(known.insert(key, place), None);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn seqs_have_no_gap_and_a_replay_gets_what_the_first_one_got(batches in batches()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(holds(batches));
    }
}
