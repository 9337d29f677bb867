//! Seqs without gaps, replays without harm.

use std::sync::Arc;

use gochat_proto::repo::append_result::Status as Stored;
use gochat_proto::repo::message_repo_server::MessageRepo;
use gochat_proto::repo::{AppendMessagesRequest, ChangeMembersRequest, MemberChange};
use gochat_proto::types::Role;
use tonic::{Code, Request};

use crate::harness::{Harness, call};

crate::promises!(
    concurrent_appenders_leave_no_gap_and_no_double,
    a_replay_gets_the_first_ones_id_and_seq,
    a_message_twice_in_one_batch_is_stored_once,
    a_stale_member_list_and_an_unknown_conversation_are_told_apart,
    a_batch_of_any_size_is_answered_in_order,
    what_the_schema_cannot_hold_is_refused_by_name,
);

async fn concurrent_appenders_leave_no_gap_and_no_double(harness: Harness) {
    const APPENDERS: u64 = 8;
    const BATCHES: u64 = 12;
    let harness = Arc::new(harness);
    let (a, b) = (harness.group(&[1, 2]).await, harness.group(&[1, 2]).await);
    let appenders = (0..APPENDERS).map(|appender| {
        let harness = Arc::clone(&harness);
        tokio::spawn(async move {
            for batch in 0..BATCHES {
                let messages = (0..6)
                    .map(|i| {
                        // Half of the appenders name the conversations in the other order.
                        let to = if (i + appender) % 2 == 0 { a } else { b };
                        harness.message(to, 1, &format!("{appender}-{batch}-{i}"))
                    })
                    .collect::<Vec<_>>();
                let first = harness.append(messages.clone()).await;
                if batch % 4 == 0 {
                    let again = harness.append(messages).await;
                    for (first, again) in first.iter().zip(&again) {
                        assert!(again.replayed);
                        assert_eq!((first.seq, first.message_id), (again.seq, again.message_id));
                    }
                }
            }
        })
    });
    for appender in futures_all(appenders).await {
        appender.unwrap();
    }
    for conversation in [a, b] {
        let page = harness.history(conversation, Some(0), None, 500).await;
        let seqs: Vec<u64> = page.messages.iter().map(|m| m.seq).collect();
        let expected = APPENDERS * BATCHES * 3;
        assert_eq!(seqs, (1..=expected).collect::<Vec<_>>());
        assert_eq!(page.last_seq, expected);
    }
}

async fn futures_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut done = Vec::new();
    for future in futures.collect::<Vec<_>>() {
        done.push(future.await);
    }
    done
}

async fn a_replay_gets_the_first_ones_id_and_seq(harness: Harness) {
    let group = harness.group(&[1, 2]).await;
    let first = harness.append(vec![harness.message(group, 1, "a"), harness.message(group, 1, "b")]).await;
    // As a consumer that restarted does: new ids, old messages, and one that is new.
    let batch = ["b", "new", "a"].map(|id| harness.message(group, 1, id)).to_vec();
    let again = harness.append(batch).await;
    assert_eq!(again.iter().map(|r| r.seq).collect::<Vec<_>>(), [2, 3, 1]);
    assert_eq!(again.iter().map(|r| r.replayed).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!((again[2].message_id, again[0].message_id), (first[0].message_id, first[1].message_id));
    // The same client_msg_id of another sender is another message.
    assert_eq!(harness.append(vec![harness.message(group, 2, "a")]).await[0].seq, 4);
    // And so is one that differs only in case.
    assert_eq!(harness.append(vec![harness.message(group, 1, "A")]).await[0].seq, 5);
}

async fn a_message_twice_in_one_batch_is_stored_once(harness: Harness) {
    let group = harness.group(&[1]).await;
    let batch = ["a", "b", "a", "c", "a"].map(|id| harness.message(group, 1, id)).to_vec();
    let results = harness.append(batch).await;
    assert_eq!(results.iter().map(|r| r.seq).collect::<Vec<_>>(), [1, 2, 1, 3, 1]);
    assert_eq!(results[4].message_id, results[0].message_id);
    assert_eq!(results.iter().map(|r| r.replayed).collect::<Vec<_>>(), [false, false, true, false, true]);
    assert_eq!(harness.history(group, None, None, 10).await.messages.len(), 3);
}

async fn a_stale_member_list_and_an_unknown_conversation_are_told_apart(harness: Harness) {
    let group = harness.group(&[1, 2]).await;
    let before = harness.append(vec![harness.message(group, 2, "before")]).await;
    let changes = vec![MemberChange { user_id: 2, role: Role::Unspecified.into() }];
    let change = ChangeMembersRequest { conversation_id: group, changes, max_members: 0 };
    use gochat_proto::repo::conversation_repo_server::ConversationRepo;
    let head = call(harness.repo.change_members(Request::new(change)).await).unwrap();
    assert_eq!((head.members_version, head.member_count, head.last_seq), (2, 1, 1));
    let mut fresh = harness.message(group, 1, "fresh");
    fresh.members_version = 2;
    let batch = vec![
        harness.message(group, 2, "after"),
        harness.message(99, 1, "nowhere"),
        fresh,
        harness.message(group, 2, "before"),
    ];
    let results = harness.append(batch).await;
    let statuses: Vec<_> = results.iter().map(|r| (r.status(), r.seq)).collect();
    assert_eq!(
        statuses,
        [(Stored::MembersChanged, 0), (Stored::NoConversation, 0), (Stored::Stored, 2), (Stored::Stored, 1)]
    );
    assert_eq!(results[3].message_id, before[0].message_id, "what is stored stays stored");
    assert!(harness.append(vec![harness.message(99, 1, "x")]).await[0].status() == Stored::NoConversation);
}

async fn a_batch_of_any_size_is_answered_in_order(harness: Harness) {
    let mut last = 0;
    let group = harness.group(&[1]).await;
    for size in [1, 2, 31, 32, 33, 100, 600, 1_000] {
        let batch = (0..size).map(|i| harness.message(group, 1, &format!("{size}/{i}"))).collect();
        let results = harness.append(batch).await;
        let expected: Vec<u64> = (last + 1..=last + size).collect();
        assert_eq!(results.iter().map(|r| r.seq).collect::<Vec<_>>(), expected);
        last += size;
    }
    let found = harness.history(group, None, None, 1).await;
    assert_eq!((found.messages[0].seq, found.messages[0].text.as_str()), (last, "text of 1000/999 🎉"));
    assert!(harness.append(Vec::new()).await.is_empty());
}

async fn what_the_schema_cannot_hold_is_refused_by_name(harness: Harness) {
    let group = harness.group(&[1]).await;
    let good = harness.message(group, 1, "a");
    let bad = [
        ("client_msg_id", gochat_proto::repo::NewMessage { client_msg_id: "x".repeat(37), ..good.clone() }),
        ("client_msg_id", gochat_proto::repo::NewMessage { client_msg_id: "a b".into(), ..good.clone() }),
        ("client_msg_id", gochat_proto::repo::NewMessage { client_msg_id: String::new(), ..good.clone() }),
        ("text", gochat_proto::repo::NewMessage { text: "x".repeat(65_537), ..good.clone() }),
        ("message_id", gochat_proto::repo::NewMessage { message_id: 0, ..good.clone() }),
        ("sender_id", gochat_proto::repo::NewMessage { sender_id: u64::MAX, ..good.clone() }),
    ];
    for (field, message) in bad {
        let request = AppendMessagesRequest { messages: vec![good.clone(), message] };
        let status = call(harness.repo.append_messages(Request::new(request)).await).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(field), "{}", status.message());
    }
    let longest = gochat_proto::repo::NewMessage { text: "ß".repeat(32_768), ..good };
    assert_eq!(harness.append(vec![longest]).await[0].seq, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_killed_is_used_again_and_kept_every_answer() {
    let name = "a_database_that_was_killed_is_used_again_and_kept_every_answer";
    let Some(harness) = Harness::mariadb(name).await else { return };
    let group = harness.group(&[1]).await;
    // Several connections, so that several are stale after the kill.
    let warm = (0..8).map(|_| harness.say(group, 1, 1));
    futures::future::join_all(warm).await;
    let server = harness.server().unwrap();
    server.kill().unwrap();
    server.restart().await.unwrap();
    assert_eq!(harness.say(group, 1, 3).await, 11);
    let page = harness.history(group, Some(0), None, 100).await;
    assert_eq!(page.messages.iter().map(|m| m.seq).collect::<Vec<_>>(), (1..=11).collect::<Vec<_>>());
}
