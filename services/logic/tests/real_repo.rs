//! The same path with the real repo on SQLite: what the two services promise each other holds.

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
use gochat_proto::events::{ReadUpTo, upstream};
use gochat_proto::logic::auth_service_client::AuthServiceClient;
use gochat_proto::logic::chat_service_client::ChatServiceClient;
use gochat_proto::logic::{
    CreateDirectRequest, CreateGroupRequest, GetConversationRequest, ListMessagesRequest, RefreshRequest,
    RegisterRequest, RemoveMemberRequest, TokenPair,
};
use support::{Cluster, frame};
use tonic::transport::Channel;

async fn register(auth: &mut AuthServiceClient<Channel>, name: &str) -> TokenPair {
    let request =
        RegisterRequest { name: name.into(), password: "correct horse".into(), ..RegisterRequest::default() };
    auth.register(request).await.unwrap().into_inner()
}

/// The frames for gateways, in the order read, until one fits; with those for single connections.
async fn until(cluster: &Cluster, fits: impl Fn(&Frame) -> bool) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !frames.iter().any(&fits) {
        for (_, record) in cluster.downstream(1).await {
            frames.extend(frame(&record.frame));
            frames.extend(frame(&record.origin_frame));
        }
    }
    frames
}

fn committed(id: &str) -> impl Fn(&Frame) -> bool + '_ {
    move |frame| matches!(frame, Frame::Committed(c) if c.client_msg_id == id)
}

fn seq_of(frames: &[Frame], id: &str) -> u64 {
    let found = frames.iter().find_map(|frame| match frame {
        Frame::Committed(c) if c.client_msg_id == id => Some(c.seq),
        _ => None,
    });
    found.unwrap()
}

#[tokio::test]
async fn two_users_chat_and_find_it_all_in_history() {
    let cluster = Cluster::on_sql().await;
    let logic = cluster.logic("a").await;
    let mut auth = AuthServiceClient::connect(logic.address.clone()).await.unwrap();
    let mut chats = ChatServiceClient::connect(logic.address.clone()).await.unwrap();
    let (alice, bob) = (register(&mut auth, "alice").await, register(&mut auth, "bob").await);
    let (alice_id, bob_id) = (alice.user.unwrap().user_id, bob.user.unwrap().user_id);
    let direct = CreateDirectRequest { user_id: alice_id, peer_id: bob_id };
    let conversation_id = chats.create_direct(direct).await.unwrap().into_inner().conversation_id;
    let again = CreateDirectRequest { user_id: bob_id, peer_id: alice_id };
    assert_eq!(chats.create_direct(again).await.unwrap().into_inner().conversation_id, conversation_id);

    cluster.send(alice_id, conversation_id, "m1", "hello").await;
    assert_eq!(seq_of(&until(&cluster, committed("m1")).await, "m1"), 1);
    cluster.send(bob_id, conversation_id, "m2", "hi").await;
    assert_eq!(seq_of(&until(&cluster, committed("m2")).await, "m2"), 2);
    cluster.send(alice_id, conversation_id, "m1", "hello").await;
    assert_eq!(seq_of(&until(&cluster, committed("m1")).await, "m1"), 1, "a replay keeps its place");

    let list = ListMessagesRequest {
        user_id: bob_id,
        conversation_id,
        after_seq: Some(0),
        ..ListMessagesRequest::default()
    };
    let history = chats.list_messages(list).await.unwrap().into_inner();
    let texts: Vec<&str> = history.messages.iter().map(|m| m.text.as_str()).collect();
    assert_eq!((texts, history.last_seq, history.more), (vec!["hello", "hi"], 2, false));

    let view = GetConversationRequest { user_id: bob_id, conversation_id };
    assert_eq!(chats.get_conversation(view).await.unwrap().into_inner().unread, 1);
    cluster.ask(bob_id, upstream::Event::Read(ReadUpTo { conversation_id, seq: 99 })).await;
    let frames = until(&cluster, |frame| matches!(frame, Frame::Read(_))).await;
    assert!(frames.iter().any(|f| matches!(f, Frame::Read(mark) if mark.user_id == bob_id && mark.seq == 2)));
    assert_eq!(chats.get_conversation(view).await.unwrap().into_inner().unread, 0);
    logic.stop().await;
}

#[tokio::test]
async fn a_removed_member_is_refused_and_a_refresh_token_works_once() {
    let cluster = Cluster::on_sql().await;
    let logic = cluster.logic("a").await;
    let mut auth = AuthServiceClient::connect(logic.address.clone()).await.unwrap();
    let mut chats = ChatServiceClient::connect(logic.address.clone()).await.unwrap();
    let mut users = Vec::new();
    let mut pairs = Vec::new();
    for name in ["alice", "bob", "carol"] {
        let pair = register(&mut auth, name).await;
        users.push(pair.user.clone().unwrap().user_id);
        pairs.push(pair);
    }
    let group =
        CreateGroupRequest { user_id: users[0], title: "team".into(), member_ids: users[1..].to_vec() };
    let conversation_id = chats.create_group(group).await.unwrap().into_inner().conversation_id;
    cluster.send(users[1], conversation_id, "in", "still in").await;
    until(&cluster, committed("in")).await;
    let remove = RemoveMemberRequest { user_id: users[0], conversation_id, member_id: users[1] };
    chats.remove_member(remove).await.unwrap();
    cluster.send(users[1], conversation_id, "out", "still here?").await;
    let frames = until(&cluster, |frame| matches!(frame, Frame::Error(_))).await;
    assert!(frames.iter().any(|f| matches!(f, Frame::Error(e) if e.code == "not_a_member")));
    let told: BTreeSet<bool> = frames
        .iter()
        .filter_map(|f| match f {
            Frame::ConversationChanged(changed) => Some(changed.removed),
            _ => None,
        })
        .collect();
    assert_eq!(told, BTreeSet::from([false, true]));

    let refresh = RefreshRequest { refresh_token: pairs[0].refresh_token.clone() };
    let next = auth.refresh(refresh.clone()).await.unwrap().into_inner();
    assert_eq!(next.session_id, pairs[0].session_id);
    let reused = auth.refresh(refresh).await.unwrap_err();
    assert_eq!(reused.metadata().get("gochat-code").unwrap(), "session_revoked");
    logic.stop().await;
}
