//! History, cursors, unread counts, retention, counters.

use gochat_proto::repo::message_repo_server::MessageRepo;
use gochat_proto::repo::{
    AdvanceReadCursorsRequest, DeleteExpiredRequest, NewMessage, ReadCursor, ReadStatsRequest,
};
use tonic::Request;

use crate::harness::{Harness, call};

crate::promises!(
    history_is_read_both_ways_in_pages,
    a_cursor_moves_forward_only_and_never_past_the_end,
    own_messages_are_not_unread,
    the_newest_message_of_each_conversation_outlives_retention,
    counters_are_of_their_span,
    a_long_conversation_costs_no_more_than_a_short_one,
);

async fn history_is_read_both_ways_in_pages(harness: Harness) {
    let group = harness.group(&[1]).await;
    harness.say(group, 1, 10).await;
    let page = async |after, before, limit| {
        let page = harness.history(group, after, before, limit).await;
        assert_eq!(page.last_seq, 10);
        (page.messages.iter().map(|m| m.seq).collect::<Vec<_>>(), page.more)
    };
    assert_eq!(page(None, None, 4).await, (vec![7, 8, 9, 10], true));
    assert_eq!(page(None, Some(7), 4).await, (vec![3, 4, 5, 6], true));
    assert_eq!(page(None, Some(3), 4).await, (vec![1, 2], false));
    assert_eq!(page(None, Some(0), 4).await, (vec![], false));
    assert_eq!(page(Some(0), None, 4).await, (vec![1, 2, 3, 4], true));
    assert_eq!(page(Some(6), None, 4).await, (vec![7, 8, 9, 10], false));
    assert_eq!(page(Some(u64::MAX), None, 4).await, (vec![], false));
}

async fn advance(harness: &Harness, cursors: &[(u64, u64, u64)]) -> Vec<u64> {
    let cursors = cursors
        .iter()
        .map(|(conversation_id, user_id, seq)| ReadCursor {
            conversation_id: *conversation_id,
            user_id: *user_id,
            seq: *seq,
        })
        .collect();
    let request = AdvanceReadCursorsRequest { cursors };
    let answer = call(harness.repo.advance_read_cursors(Request::new(request)).await).unwrap();
    answer.cursors.iter().map(|c| c.seq).collect()
}

async fn a_cursor_moves_forward_only_and_never_past_the_end(harness: Harness) {
    let (a, b) = (harness.group(&[1, 2]).await, harness.group(&[1]).await);
    harness.say(a, 1, 5).await;
    harness.say(b, 1, 2).await;
    assert_eq!(advance(&harness, &[(a, 2, 3), (b, 1, 1), (a, 1, 5)]).await, [3, 1, 5]);
    assert_eq!(advance(&harness, &[(a, 2, 1)]).await, [3]);
    assert_eq!(advance(&harness, &[(a, 2, u64::MAX), (b, 2, 1), (99, 1, 1)]).await, [5, 0, 0]);
    assert_eq!(advance(&harness, &[(b, 1, 1), (b, 1, 2), (b, 1, 1)]).await, [2, 2, 2]);
    assert_eq!(harness.view(a, 2).await.unwrap().read_seq, 5);
    let many: Vec<u64> = (1..=200).collect();
    let large = harness.group(&many).await;
    harness.say(large, 1, 1).await;
    let cursors: Vec<_> = many.iter().map(|user| (large, *user, 1)).collect();
    assert_eq!(advance(&harness, &cursors).await, vec![1; 200]);
}

async fn own_messages_are_not_unread(harness: Harness) {
    let group = harness.group(&[1, 2]).await;
    harness.say(group, 1, 3).await;
    harness.say(group, 2, 2).await;
    harness.say(group, 1, 1).await;
    let unread = async |user| harness.view(group, user).await.unwrap().unread;
    assert_eq!((unread(1).await, unread(2).await), (2, 4));
    advance(&harness, &[(group, 2, 2), (group, 1, 6)]).await;
    assert_eq!((unread(1).await, unread(2).await), (0, 2));
    // Far past the cursor, all are counted.
    harness.say(group, 1, 1_000).await;
    assert_eq!(unread(2).await, 1_004 - 2);
}

async fn the_newest_message_of_each_conversation_outlives_retention(harness: Harness) {
    let (a, b) = (harness.group(&[1]).await, harness.group(&[1]).await);
    let at = |conversation, client: &str, sent_at_ms| NewMessage {
        sent_at_ms,
        ..harness.message(conversation, 1, client)
    };
    harness
        .append(vec![at(a, "1", 10), at(a, "2", 20), at(a, "3", 30), at(b, "1", 10), at(b, "2", 90)])
        .await;
    let delete = async |before_ms, limit| {
        let request = DeleteExpiredRequest { before_ms, limit };
        call(harness.repo.delete_expired(Request::new(request)).await).unwrap().deleted
    };
    assert_eq!(delete(50, 2).await, 2);
    assert_eq!(delete(50, 100).await, 1);
    assert_eq!(delete(50, 100).await, 0);
    let left = harness.history(a, Some(0), None, 10).await;
    assert_eq!(left.messages.iter().map(|m| m.seq).collect::<Vec<_>>(), [3]);
    assert_eq!(harness.say(a, 1, 1).await, 4, "the next seq is counted from it");
    assert_eq!(harness.say(b, 1, 1).await, 3);
}

async fn counters_are_of_their_span(harness: Harness) {
    let (a, b) = (harness.group(&[1, 2]).await, harness.group(&[1]).await);
    let direct = harness.create(gochat_proto::types::ConversationKind::Direct, &[1, 2]).await.unwrap();
    let at = |conversation, sender, client: &str, sent_at_ms| NewMessage {
        sent_at_ms,
        ..harness.message(conversation, sender, client)
    };
    let batch = vec![
        at(a, 1, "1", 9),
        at(a, 1, "2", 10),
        at(a, 2, "3", 19),
        at(b, 1, "4", 15),
        at(a, 3, "5", 20),
        at(direct.conversation_id, 1, "6", 11),
    ];
    harness.append(batch).await;
    let request = ReadStatsRequest { from_ms: 10, to_ms: 20, top_groups: 5 };
    let stats = call(harness.repo.read_stats(Request::new(request)).await).unwrap();
    assert_eq!((stats.active_senders, stats.messages), (2, 4));
    let groups: Vec<_> = stats.groups.iter().map(|g| (g.conversation_id, g.messages)).collect();
    assert_eq!(groups, [(a, 2), (b, 1)]);
}

/// By what MySQL reads; SQLite counts nothing, and its planner knows only one way.
async fn a_long_conversation_costs_no_more_than_a_short_one(harness: Harness) {
    if harness.server().is_none() {
        return;
    }
    let long = harness.group(&[1, 2]).await;
    harness.say(long, 1, 1_000).await;
    advance(&harness, &[(long, 2, 990)]).await;
    let before = harness.entries_read().await.unwrap();
    for _ in 0..10 {
        harness.say(long, 1, 1).await;
        harness.history(long, Some(995), None, 5).await;
        assert!(harness.view(long, 2).await.unwrap().unread >= 10);
        advance(&harness, &[(long, 1, 995)]).await;
    }
    let read = harness.entries_read().await.unwrap() - before;
    assert!(read < 1_000, "{read} entries of indices read for 40 calls");
}
