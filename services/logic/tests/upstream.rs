//! The promises of the message path, from a record in `upstream` to the records in `downstream`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that can't go on says so by ending"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use gochat_core::{Placement, SlotCount, Workload};
use gochat_proto::client::server_frame::Frame;
use gochat_proto::events::{Downstream, ReadUpTo, Typing, task, upstream};
use support::{Cluster, PARTITIONS, PATIENCE, frame, shard_of};

/// user → seqs told by `message`; and the answers to connections.
fn told(records: &[(u32, Downstream)]) -> (BTreeMap<u64, Vec<u64>>, Vec<Frame>) {
    let mut messages: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut answers = Vec::new();
    for (shard, record) in records {
        for user in &record.recipients {
            assert_eq!(shard_of(*user), *shard, "a recipient stands in its own shard");
            if let Some(Frame::Message(message)) = frame(&record.frame) {
                messages.entry(*user).or_default().push(message.seq);
            }
        }
        if !record.origin_frame.is_empty() {
            answers.push(frame(&record.origin_frame).unwrap());
        }
    }
    (messages, answers)
}

#[tokio::test]
async fn a_message_reaches_every_member_once_and_its_sender_is_told_its_place() {
    let cluster = Cluster::start().await;
    cluster.repo.group(7, 1..=20);
    let logic = cluster.logic("a").await;
    cluster.send(3, 7, "m1", "hello").await;
    let shards: BTreeSet<u32> = (1..=20).map(shard_of).collect();
    let records = cluster.downstream(shards.len()).await;
    assert_eq!(records.len(), shards.len(), "one record per shard that has recipients");
    let (messages, answers) = told(&records);
    assert_eq!(messages, (1..=20).map(|user| (user, vec![1])).collect());
    assert!(matches!(&answers[..], [Frame::Committed(c)] if c.seq == 1 && c.client_msg_id == "m1"));
    let answered = records.iter().find(|(_, r)| r.origin.is_some()).unwrap();
    assert!(answered.1.recipients.contains(&3), "the answer travels with the sender's shard");
    assert!(records.iter().all(|(_, r)| r.push.is_some_and(|hint| hint.seq == 1 && hint.sender_id == 3)));
    logic.stop().await;
}

#[tokio::test]
async fn a_replay_is_told_again_with_the_first_ones_place() {
    let cluster = Cluster::start().await;
    cluster.repo.group(7, [1, 2]);
    let logic = cluster.logic("a").await;
    cluster.send(1, 7, "same", "hello").await;
    let first = told(&cluster.downstream(2).await).1;
    cluster.send(1, 7, "same", "hello").await;
    let second = told(&cluster.downstream(2).await).1;
    assert_eq!(first, second);
    assert_eq!(cluster.repo.texts(7), ["hello"]);
    logic.stop().await;
}

#[tokio::test]
async fn who_may_not_write_is_told_so_and_nothing_is_stored() {
    let cluster = Cluster::start().await;
    cluster.repo.group(7, [1, 2]);
    let logic = cluster.logic("a").await;
    for (user, conversation, id, text, code) in [
        (9, 7, "m", "hi", "not_a_member"),
        (1, 8, "m", "hi", "no_such_conversation"),
        (1, 7, "", "hi", "bad_client_msg_id"),
        (1, 7, "m", "", "bad_request"),
    ] {
        cluster.send(user, conversation, id, text).await;
        let records = cluster.downstream(1).await;
        let (messages, answers) = told(&records);
        assert!(messages.is_empty());
        assert!(matches!(&answers[..], [Frame::Error(e)] if e.code == code), "{code}: {answers:?}");
        assert_eq!(records[0].1.recipients, [user]);
    }
    assert!(cluster.repo.texts(7).is_empty());
    logic.stop().await;
}

#[tokio::test]
async fn a_removed_member_cannot_write_however_stale_the_cache_and_a_new_one_can_at_once() {
    let cluster = Cluster::start().await;
    cluster.repo.group(7, [1, 2]);
    let logic = cluster.logic("a").await;
    cluster.send(1, 7, "m1", "cached now").await;
    cluster.downstream(2).await;
    cluster.repo.remove(7, 2);
    cluster.send(2, 7, "m2", "from outside").await;
    let (_, answers) = told(&cluster.downstream(1).await);
    assert!(matches!(&answers[..], [Frame::Error(e)] if e.code == "not_a_member"), "{answers:?}");
    cluster.repo.with(|s| {
        let chat = s.conversations.get_mut(&7).unwrap();
        chat.members.insert(3, 1);
        chat.version += 1;
    });
    cluster.send(3, 7, "m3", "just in").await;
    let shards: BTreeSet<u32> = [1, 3].into_iter().map(shard_of).collect();
    let (messages, _) = told(&cluster.downstream(shards.len()).await);
    assert_eq!(messages, BTreeMap::from([(1, vec![2]), (3, vec![2])]));
    assert_eq!(cluster.repo.texts(7), ["cached now", "just in"]);
    logic.stop().await;
}

#[tokio::test]
async fn poison_is_set_aside_and_its_neighbours_pass_in_order() {
    let cluster = Cluster::start().await;
    cluster.repo.group(7, [1]);
    cluster.repo.with(|s| s.poison = Some("poison".into()));
    for n in 0..9 {
        cluster.send(1, 7, &format!("m{n}"), if n == 4 { "poison" } else { "fine" }).await;
    }
    let garbage = cluster.write(7, b"\xff\xff\xff".to_vec()).await;
    cluster.send(1, 7, "last", "fine").await;
    let logic = cluster.logic("a").await;
    let (messages, answers) = told(&cluster.downstream(10).await);
    assert_eq!(messages[&1], (1..=9).collect::<Vec<u64>>());
    assert_eq!(answers.iter().filter(|a| matches!(a, Frame::Error(_))).count(), 1);
    let letters = cluster.dead_letters(2).await;
    assert!(letters.iter().any(|l| l.offset == garbage && l.payload == b"\xff\xff\xff"[..]), "{letters:?}");
    assert!(letters.iter().any(|l| l.reason.contains("can't be stored")), "{letters:?}");
    logic.stop().await;
}

#[tokio::test]
async fn a_repo_that_was_away_loses_nothing() {
    let mut cluster = Cluster::start().await;
    cluster.repo.group(7, [1]);
    let logic = cluster.logic("a").await;
    cluster.send(1, 7, "before", "before").await;
    cluster.downstream(1).await;
    cluster.stop_repo().await;
    for n in 0..50 {
        cluster.send(1, 7, &format!("m{n}"), &format!("{n}")).await;
    }
    let unready = async {
        while logic.health.is_ready() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, unready).await.expect("the outage shows as not ready");
    cluster.start_repo().await;
    let (messages, _) = told(&cluster.downstream(50).await);
    assert_eq!(messages[&1], (2..=51).collect::<Vec<u64>>());
    assert_eq!(cluster.repo.texts(7)[1..], (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
    logic.stop().await;
}

#[tokio::test]
async fn slots_that_move_between_two_logics_lose_nothing_and_keep_the_order() {
    let cluster = Cluster::start().await;
    let conversations: Vec<u64> = (100..120).collect();
    for id in &conversations {
        cluster.repo.group(*id, [1]);
    }
    let (a, b) = (cluster.logic("a").await, cluster.logic("b").await);
    let slots = SlotCount::new(PARTITIONS).unwrap();
    let members = [a.member.clone(), b.member.clone()];
    for round in 0..20u64 {
        let mut placement = Placement::dealt(gochat_core::Epoch(round + 1), slots, &members);
        placement.owners.rotate_left(round as usize % 2);
        cluster.coord.put_placement(Workload::Logic, &placement).await.unwrap();
        for id in &conversations {
            cluster.send(1, *id, &format!("m{round}"), &format!("{round}")).await;
        }
    }
    let expected: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let mut seen: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    while conversations.iter().any(|id| seen.get(id).is_none_or(|seqs| seqs.len() < 20)) {
        for (_, record) in cluster.downstream(1).await {
            if let Some(Frame::Message(message)) = frame(&record.frame) {
                seen.entry(message.conversation_id).or_default().insert(message.seq);
            }
        }
    }
    for id in &conversations {
        assert_eq!(cluster.repo.texts(*id), expected, "conversation {id}");
    }
    a.stop().await;
    b.stop().await;
}

#[tokio::test]
async fn what_a_stopped_logic_left_is_done_by_the_next_and_only_once() {
    let cluster = Cluster::start().await;
    cluster.repo.group(7, [1]);
    let first = cluster.logic("a").await;
    cluster.send(1, 7, "m1", "one").await;
    cluster.downstream(1).await;
    first.stop().await;
    cluster.send(1, 7, "m2", "two").await;
    let second = cluster.logic("a").await;
    let (messages, _) = told(&cluster.downstream(1).await);
    assert_eq!(messages[&1], [2], "the first was committed and is not told again");
    second.stop().await;
}

#[tokio::test]
async fn a_large_group_becomes_one_task() {
    let cluster = Cluster::start().await;
    cluster.repo.group(7, 1..=30);
    let logic = cluster.logic_with("a", |config| config.fanout_threshold = 29).await;
    cluster.send(5, 7, "m1", "hello").await;
    cluster.send(5, 7, "m2", "again").await;
    cluster.send(31, 7, "m3", "from outside").await;
    let tasks = cluster.tasks(2).await;
    let Some(task::Task::FanOut(fan_out)) = &tasks[0].task else { panic!("{tasks:?}") };
    assert_eq!((fan_out.conversation_id, fan_out.members_version, fan_out.sender_id), (7, 1, 5));
    assert!(matches!(frame(&fan_out.frame), Some(Frame::Message(m)) if m.text == "hello"));
    assert!(matches!(frame(&fan_out.origin_frame), Some(Frame::Committed(c)) if c.seq == 1));
    let (_, answers) = told(&cluster.downstream(1).await);
    assert!(matches!(&answers[..], [Frame::Error(e)] if e.code == "not_a_member"), "{answers:?}");
    logic.stop().await;
}

#[tokio::test]
async fn read_marks_are_collapsed_to_the_furthest_and_typing_is_told_but_not_kept() {
    let cluster = Cluster::start().await;
    cluster.repo.group(7, [1]);
    for n in 0..3 {
        cluster.send(1, 7, &format!("m{n}"), "x").await;
    }
    for seq in [1, 3, 2, 99] {
        cluster.ask(1, upstream::Event::Read(ReadUpTo { conversation_id: 7, seq })).await;
    }
    let logic = cluster.logic("a").await;
    let records = cluster.downstream(4).await;
    let marks: Vec<u64> = records
        .iter()
        .filter_map(|(_, r)| match frame(&r.frame) {
            Some(Frame::Read(mark)) => Some(mark.seq),
            _ => None,
        })
        .collect();
    assert_eq!(marks, [3], "one mark, never past the last seq");
    cluster.ask(1, upstream::Event::Typing(Typing { conversation_id: 7 })).await;
    let records = cluster.downstream(1).await;
    assert!(
        records[0].1.ephemeral
            && matches!(frame(&records[0].1.frame), Some(Frame::Typing(t)) if t.user_id == 1)
    );
    logic.stop().await;
}
