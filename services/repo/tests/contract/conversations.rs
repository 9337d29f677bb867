//! Conversations, their members, and how each member sees them.

use gochat_proto::repo::conversation_repo_server::ConversationRepo;
use gochat_proto::repo::user_repo_server::UserRepo;
use gochat_proto::repo::{
    ChangeMembersRequest, ConversationHead, CreateUserRequest, FindUsersRequest, GetHeadsRequest,
    ListConversationsRequest, ListMembersRequest, MemberChange,
};
use gochat_proto::types::{ConversationKind, Role, User};
use tonic::{Code, Request, Status};

use crate::harness::{Harness, call};

crate::promises!(
    two_users_have_one_direct_chat_however_many_start_it,
    changing_members_moves_the_version_once_and_repeats_without_effect,
    a_group_grows_to_its_limit_and_no_further,
    members_are_listed_in_pages_with_the_version_they_are_of,
    conversations_are_listed_newest_first_each_once,
    users_are_found_by_id_name_and_prefix_byte_by_byte,
);

async fn two_users_have_one_direct_chat_however_many_start_it(harness: Harness) {
    let starts = (0..16u64).map(|i| {
        let pair = if i % 2 == 0 { [5, 9] } else { [9, 5] };
        let harness = &harness;
        async move { harness.create(ConversationKind::Direct, &pair).await.unwrap().conversation_id }
    });
    let ids = futures::future::join_all(starts).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let head = harness.create(ConversationKind::Direct, &[5, 9]).await.unwrap();
    assert_eq!((head.member_count, head.members_version), (2, 1));
    for members in [&[5][..], &[5, 5], &[5, 6, 7]] {
        let refused = harness.create(ConversationKind::Direct, members).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

async fn change(
    harness: &Harness,
    conversation_id: u64,
    changes: &[(u64, Role)],
    max_members: u32,
) -> Result<ConversationHead, Status> {
    let changes =
        changes.iter().map(|(user_id, role)| MemberChange { user_id: *user_id, role: (*role).into() });
    let request = ChangeMembersRequest { conversation_id, changes: changes.collect(), max_members };
    call(harness.repo.change_members(Request::new(request)).await)
}

async fn changing_members_moves_the_version_once_and_repeats_without_effect(harness: Harness) {
    let group = harness.group(&[1, 2, 3]).await;
    harness.say(group, 1, 4).await;
    let wanted = [(4, Role::Member), (2, Role::Unspecified), (3, Role::Admin), (8, Role::Unspecified)];
    for _ in 0..2 {
        let head = change(&harness, group, &wanted, 0).await.unwrap();
        assert_eq!((head.members_version, head.member_count, head.last_seq), (2, 3, 4));
    }
    let page = members(&harness, group, 0, 10).await;
    let seen: Vec<_> = page.0.iter().map(|m| (m.user_id, m.role(), m.read_seq)).collect();
    // Who joins starts at the end: nothing of before is unread.
    assert_eq!(seen, [(1, Role::Owner, 0), (3, Role::Admin, 0), (4, Role::Member, 4)]);
    assert_eq!(harness.view(group, 2).await.unwrap_err().code(), Code::NotFound);
    let missing = change(&harness, 99, &wanted, 0).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    let direct = harness.create(ConversationKind::Direct, &[1, 2]).await.unwrap().conversation_id;
    assert_eq!(change(&harness, direct, &wanted, 0).await.unwrap_err().code(), Code::FailedPrecondition);
}

async fn a_group_grows_to_its_limit_and_no_further(harness: Harness) {
    let group = harness.group(&[1]).await;
    let many: Vec<(u64, Role)> = (2..=1_300).map(|id| (id, Role::Member)).collect();
    assert_eq!(change(&harness, group, &many, 1_299).await.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(change(&harness, group, &many, 1_300).await.unwrap().member_count, 1_300);
    // Who is there already takes no room; who leaves makes some.
    assert_eq!(change(&harness, group, &many, 1_300).await.unwrap().members_version, 2);
    let swap = [(7_000, Role::Member), (2, Role::Unspecified)];
    assert_eq!(change(&harness, group, &swap, 1_300).await.unwrap().member_count, 1_300);
    let request = GetHeadsRequest { conversation_ids: vec![group, 99] };
    let heads = call(harness.repo.get_heads(Request::new(request)).await).unwrap().heads;
    assert_eq!(
        heads.iter().map(|h| (h.conversation_id, h.member_count)).collect::<Vec<_>>(),
        [(group, 1_300)]
    );
}

async fn members(
    harness: &Harness,
    conversation_id: u64,
    after_user_id: u64,
    limit: u32,
) -> (Vec<gochat_proto::types::Member>, bool, u64) {
    let request = ListMembersRequest { conversation_id, after_user_id, limit };
    let page = call(harness.repo.list_members(Request::new(request)).await).unwrap();
    (page.members, page.more, page.members_version)
}

async fn members_are_listed_in_pages_with_the_version_they_are_of(harness: Harness) {
    let group = harness.group(&[5, 1, 4, 2, 3, 3]).await;
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let (page, more, version) = members(&harness, group, after, 2).await;
        assert_eq!(version, 1);
        seen.extend(page.iter().map(|m| m.user_id));
        after = *seen.last().unwrap();
        if !more {
            break;
        }
        assert_eq!(page.len(), 2);
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    assert_eq!(members(&harness, group, 5, 2).await, (vec![], false, 1));
    let request = ListMembersRequest { conversation_id: 99, ..Default::default() };
    let missing = call(harness.repo.list_members(Request::new(request)).await).unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
}

async fn conversations_are_listed_newest_first_each_once(harness: Harness) {
    user(&harness, 9, "peer").await.unwrap();
    let mut created = vec![harness.create(ConversationKind::Direct, &[5, 9]).await.unwrap().conversation_id];
    harness.say(created[0], 9, 3).await;
    for _ in 0..70 {
        created.push(harness.group(&[9, 5]).await);
        harness.say(*created.last().unwrap(), 9, 1).await;
    }
    let silent = harness.group(&[5]).await;
    created.push(silent);
    let _foreign = harness.group(&[9]).await;
    created.reverse();
    let (mut page, mut seen) = (String::new(), Vec::new());
    loop {
        let request = ListConversationsRequest { viewer_id: 5, page, limit: 50 };
        let answer = call(harness.repo.list_conversations(Request::new(request)).await).unwrap();
        seen.extend(answer.conversations);
        page = answer.next_page;
        if page.is_empty() {
            break;
        }
    }
    assert_eq!(seen.iter().map(|c| c.conversation_id).collect::<Vec<_>>(), created);
    assert!(seen[0].last_message.is_none() && seen[0].unread == 0);
    assert!(
        seen[1..]
            .iter()
            .all(|c| c.last_message.as_ref().unwrap().seq == c.last_seq && c.unread == c.last_seq)
    );
    let direct = seen.last().unwrap();
    assert_eq!((direct.unread, direct.peer.as_ref().unwrap().name.as_str()), (3, "peer"));
    assert_eq!(*direct, harness.view(direct.conversation_id, 5).await.unwrap());
    let request = ListConversationsRequest { viewer_id: 5, page: "!".into(), limit: 0 };
    let status = call(harness.repo.list_conversations(Request::new(request)).await).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

async fn user(harness: &Harness, user_id: u64, name: &str) -> Result<User, Status> {
    let request = CreateUserRequest {
        user_id,
        name: name.into(),
        display_name: format!("{name} 🎉"),
        password_hash: "$argon2id$".into(),
    };
    call(harness.repo.create_user(Request::new(request)).await)
}

async fn users_are_found_by_id_name_and_prefix_byte_by_byte(harness: Harness) {
    for (id, name) in [(1, "anna"), (2, "annb"), (3, "ann_c"), (4, "bert")] {
        user(&harness, id, name).await.unwrap();
        // The same again, as after an answer that was lost.
        assert_eq!(user(&harness, id, name).await.unwrap().display_name, format!("{name} 🎉"));
    }
    assert_eq!(user(&harness, 5, "anna").await.unwrap_err().code(), Code::AlreadyExists);
    user(&harness, 6, "Anna").await.unwrap();
    let find = async |request: FindUsersRequest| {
        let mut users = call(harness.repo.find_users(Request::new(request)).await).unwrap().users;
        users.sort_by_key(|u| u.user_id);
        users.into_iter().map(|u| u.user_id).collect::<Vec<_>>()
    };
    let by_prefix = |prefix: &str| FindUsersRequest { name_prefix: prefix.into(), ..Default::default() };
    assert_eq!(find(by_prefix("ann")).await, [1, 2, 3]);
    assert_eq!(find(by_prefix("ann_")).await, [3]);
    assert!(find(by_prefix("%")).await.is_empty());
    assert_eq!(find(FindUsersRequest { name: "anna".into(), ..Default::default() }).await, [1]);
    assert_eq!(find(FindUsersRequest { user_ids: vec![4, 2, 99], ..Default::default() }).await, [2, 4]);
}
