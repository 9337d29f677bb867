//! The promises of ChatService, over gRPC.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that can't go on says so by ending"
)]

mod support;

use std::collections::BTreeSet;

use gochat_proto::client::server_frame::Frame;
use gochat_proto::logic::chat_service_client::ChatServiceClient;
use gochat_proto::logic::*;
use gochat_proto::types::{Conversation, Role, User};
use support::{Cluster, Logic, frame, shard_of};
use tonic::Status;
use tonic::transport::Channel;

async fn start(users: u64) -> (Cluster, Logic, ChatServiceClient<Channel>) {
    let cluster = Cluster::start().await;
    cluster.repo.with(|s| {
        for user_id in 1..=users {
            let user = User { user_id, name: format!("user-{user_id}"), display_name: String::new() };
            s.users.insert(user_id, (user, String::new()));
        }
    });
    let logic = cluster.logic_with("a", |config| config.max_group_members = 10).await;
    let chats = ChatServiceClient::connect(logic.address.clone()).await.unwrap();
    (cluster, logic, chats)
}

fn code<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    answer.unwrap_err().metadata().get("gochat-code").unwrap().to_str().unwrap().to_owned()
}

/// Who was told that a conversation changed: (user, removed).
async fn told(cluster: &Cluster, concerned: &[u64]) -> BTreeSet<(u64, bool)> {
    let mut told = BTreeSet::new();
    while told.len() < concerned.len() {
        for (shard, record) in cluster.downstream(1).await {
            let Some(Frame::ConversationChanged(changed)) = frame(&record.frame) else {
                panic!("{record:?}")
            };
            for user in record.recipients {
                assert_eq!(shard_of(user), shard);
                assert!(told.insert((user, changed.removed)), "told twice");
            }
        }
    }
    told
}

async fn group(chats: &mut ChatServiceClient<Channel>, owner: u64, members: &[u64]) -> Conversation {
    let request = CreateGroupRequest { user_id: owner, title: " Team ".into(), member_ids: members.to_vec() };
    chats.create_group(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_direct_chat_is_made_once_and_both_are_told() {
    let (cluster, logic, mut chats) = start(3).await;
    let direct = |user_id, peer_id| CreateDirectRequest { user_id, peer_id };
    let first = chats.create_direct(direct(1, 2)).await.unwrap().into_inner();
    assert_eq!(told(&cluster, &[1, 2]).await, BTreeSet::from([(1, false), (2, false)]));
    let second = chats.create_direct(direct(2, 1)).await.unwrap().into_inner();
    assert_eq!(first.conversation_id, second.conversation_id);
    assert_eq!(code(chats.create_direct(direct(1, 1)).await), "bad_request");
    assert_eq!(code(chats.create_direct(direct(1, 77)).await), "no_such_user");
    let add = AddMembersRequest { user_id: 1, conversation_id: first.conversation_id, member_ids: vec![3] };
    assert_eq!(code(chats.add_members(add).await), "forbidden");
    logic.stop().await;
}

#[tokio::test]
async fn members_come_and_go_by_the_rules_and_all_concerned_are_told() {
    let (cluster, logic, mut chats) = start(12).await;
    let made = group(&mut chats, 1, &[1, 2, 3, 3]).await;
    assert_eq!((made.title.as_str(), made.role(), made.member_count), ("Team", Role::Owner, 3));
    told(&cluster, &[1, 2, 3]).await;
    let conversation_id = made.conversation_id;
    let add = |user_id, ids: &[u64]| AddMembersRequest { user_id, conversation_id, member_ids: ids.to_vec() };
    let remove = |user_id, member_id| RemoveMemberRequest { user_id, conversation_id, member_id };

    assert_eq!(code(chats.add_members(add(2, &[4])).await), "forbidden");
    assert_eq!(chats.add_members(add(1, &[3, 4])).await.unwrap().into_inner().member_count, 4);
    told(&cluster, &[1, 2, 3, 4]).await;
    assert_eq!(code(chats.add_members(add(1, &[99])).await), "no_such_user");
    assert_eq!(code(chats.add_members(add(1, &[5, 6, 7, 8, 9, 10, 11, 12, 1, 2, 3])).await), "group_full");

    let role = |user_id, member_id, role: Role| SetRoleRequest {
        user_id,
        conversation_id,
        member_id,
        role: role.into(),
    };
    assert_eq!(code(chats.set_role(role(2, 3, Role::Admin)).await), "forbidden");
    chats.set_role(role(1, 2, Role::Owner)).await.unwrap();
    told(&cluster, &[1, 2, 3, 4]).await;
    let view = GetConversationRequest { user_id: 1, conversation_id };
    assert_eq!(chats.get_conversation(view).await.unwrap().into_inner().role(), Role::Admin);

    assert_eq!(code(chats.remove_member(remove(3, 4)).await), "forbidden");
    assert_eq!(code(chats.remove_member(remove(1, 2)).await), "forbidden");
    chats.remove_member(remove(1, 3)).await.unwrap();
    let expected = BTreeSet::from([(1, false), (2, false), (3, true), (4, false)]);
    assert_eq!(told(&cluster, &[1, 2, 3, 4]).await, expected);
    assert_eq!(code(chats.remove_member(remove(2, 2)).await), "forbidden");
    chats.remove_member(remove(4, 4)).await.unwrap();
    assert_eq!(told(&cluster, &[1, 2, 4]).await, BTreeSet::from([(1, false), (2, false), (4, true)]));
    logic.stop().await;
}

#[tokio::test]
async fn what_one_is_not_in_stays_closed() {
    let (_cluster, logic, mut chats) = start(3).await;
    let conversation_id = group(&mut chats, 1, &[2]).await.conversation_id;
    for (conversation_id, expected) in [(conversation_id, "not_a_member"), (12345, "no_such_conversation")] {
        let user_id = 3;
        let view = GetConversationRequest { user_id, conversation_id };
        assert_eq!(code(chats.get_conversation(view).await), expected);
        let list = ListMessagesRequest { user_id, conversation_id, ..Default::default() };
        assert_eq!(code(chats.list_messages(list).await), expected);
        let list = ListMembersRequest { user_id, conversation_id, ..Default::default() };
        assert_eq!(code(chats.list_members(list).await), expected);
        assert_eq!(
            code(chats.mark_read(MarkReadRequest { user_id, conversation_id, seq: 1 }).await),
            expected
        );
        let add = AddMembersRequest { user_id, conversation_id, member_ids: vec![3] };
        assert_eq!(code(chats.add_members(add).await), expected);
    }
    let both = ListMessagesRequest {
        user_id: 1,
        conversation_id,
        after_seq: Some(1),
        before_seq: Some(2),
        ..Default::default()
    };
    assert_eq!(code(chats.list_messages(both).await), "bad_request");
    logic.stop().await;
}

#[tokio::test]
async fn users_are_found_by_one_way_at_a_time() {
    let (_cluster, logic, mut chats) = start(3).await;
    let request = GetUsersRequest { user_id: 1, name_prefix: "user-".into(), ..Default::default() };
    assert_eq!(chats.get_users(request.clone()).await.unwrap().into_inner().users.len(), 3);
    assert_eq!(code(chats.get_users(GetUsersRequest { ids: vec![1], ..request }).await), "bad_request");
    assert_eq!(
        code(chats.get_users(GetUsersRequest { user_id: 1, ..Default::default() }).await),
        "bad_request"
    );
    logic.stop().await;
}
