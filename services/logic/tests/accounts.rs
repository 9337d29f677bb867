//! The promises of AuthService, over gRPC.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that can't go on says so by ending"
)]

mod support;

use gochat_proto::events::RevokeSession;
use gochat_proto::logic::auth_service_client::AuthServiceClient;
use gochat_proto::logic::validate_request::Token;
use gochat_proto::logic::validated::Result as Validated;
use gochat_proto::logic::{
    LoginRequest, LogoutRequest, RefreshRequest, RegisterRequest, TokenPair, ValidateManyRequest,
    ValidateRequest,
};
use support::{Cluster, Logic, shard_of};
use tonic::transport::Channel;
use tonic::{Code, Status};

async fn auth(logic: &Logic) -> AuthServiceClient<Channel> {
    AuthServiceClient::connect(logic.address.clone()).await.unwrap()
}

fn registration(name: &str, password: &str) -> RegisterRequest {
    RegisterRequest { name: name.into(), password: password.into(), ..RegisterRequest::default() }
}

async fn register(auth: &mut AuthServiceClient<Channel>, name: &str) -> TokenPair {
    auth.register(registration(name, "correct horse")).await.unwrap().into_inner()
}

fn code(status: &Status) -> &str {
    assert!(status.metadata().contains_key("gochat-fix"), "{status:?}");
    status.metadata().get("gochat-code").unwrap().to_str().unwrap()
}

fn access(token: &str) -> ValidateRequest {
    ValidateRequest { token: Some(Token::AccessToken(token.into())), issue_resume_token: true }
}

#[tokio::test]
async fn who_registers_can_log_in_and_nobody_else_as_them() {
    let cluster = Cluster::start().await;
    let logic = cluster.logic("a").await;
    let mut auth = auth(&logic).await;
    let pair = register(&mut auth, "alice").await;
    let user = pair.user.unwrap();
    assert_eq!((user.name.as_str(), user.display_name.as_str()), ("alice", "alice"));
    let login = |name: &str, password: &str| LoginRequest {
        name: name.into(),
        password: password.into(),
        device: "test".into(),
    };
    let again = auth.login(login("alice", "correct horse")).await.unwrap().into_inner();
    assert_eq!(again.user.unwrap().user_id, user.user_id);
    assert_ne!(again.session_id, pair.session_id);
    for (name, password) in [("alice", "wrong horse"), ("nobody", "correct horse"), ("No Body", "x")] {
        let refused = auth.login(login(name, password)).await.unwrap_err();
        assert_eq!((refused.code(), code(&refused)), (Code::Unauthenticated, "bad_credentials"));
    }
    for (request, expected) in [
        (registration("alice", "correct horse"), "name_taken"),
        (registration("Alice!", "correct horse"), "bad_name"),
        (registration("bob", "short"), "weak_password"),
    ] {
        assert_eq!(code(&auth.register(request).await.unwrap_err()), expected);
    }
    logic.stop().await;
}

#[tokio::test]
async fn a_logout_ends_the_session_at_once_and_closes_its_connections() {
    let cluster = Cluster::start().await;
    let logic = cluster.logic("a").await;
    let mut auth = auth(&logic).await;
    let pair = register(&mut auth, "alice").await;
    let user_id = pair.user.unwrap().user_id;
    let identity = auth.validate(access(&pair.access_token)).await.unwrap().into_inner();
    assert_eq!((identity.user_id, identity.session_id), (user_id, pair.session_id));
    let resume = ValidateRequest {
        token: Some(Token::ResumeToken(identity.resume_token.clone())),
        issue_resume_token: false,
    };
    assert_eq!(auth.validate(resume.clone()).await.unwrap().into_inner().user_id, user_id);
    let crossed = auth.validate(access(&identity.resume_token)).await.unwrap_err();
    assert_eq!(code(&crossed), "token_invalid");

    let session_id = pair.session_id;
    let foreign = auth.logout(LogoutRequest { user_id: user_id + 1, session_id }).await.unwrap_err();
    assert_eq!(code(&foreign), "session_revoked");
    auth.logout(LogoutRequest { user_id, session_id }).await.unwrap();
    for request in [access(&pair.access_token), resume] {
        assert_eq!(code(&auth.validate(request).await.unwrap_err()), "session_revoked");
    }
    let records = cluster.downstream(1).await;
    assert_eq!(records[0].0, shard_of(user_id));
    assert_eq!(records[0].1.revoke, Some(RevokeSession { user_id, session_id }));
    assert!(records[0].1.frame.is_empty());
    logic.stop().await;
}

#[tokio::test]
async fn many_tokens_are_answered_in_their_order_each_by_itself() {
    let cluster = Cluster::start().await;
    let logic = cluster.logic("a").await;
    let mut auth = auth(&logic).await;
    let (alice, bob) = (register(&mut auth, "alice").await, register(&mut auth, "bob").await);
    let (alice_id, bob_id) = (alice.user.unwrap().user_id, bob.user.unwrap().user_id);
    let good = access(&alice.access_token);
    let none = ValidateRequest { token: None, issue_resume_token: false };
    let requests = vec![good.clone(), access("garbage"), access(&bob.access_token), none, good.clone()];
    let results = auth.validate_many(ValidateManyRequest { requests }).await.unwrap().into_inner().results;
    let answers: Vec<_> = results
        .into_iter()
        .map(|validated| match validated.result.unwrap() {
            Validated::Identity(identity) => Ok(identity.user_id),
            Validated::Refused(refused) => Err((refused.code, refused.text.is_empty())),
        })
        .collect();
    assert_eq!((&answers[0], &answers[2], &answers[4]), (&Ok(alice_id), &Ok(bob_id), &Ok(alice_id)));
    assert_eq!(answers[1], Err(("token_invalid".to_owned(), false)));
    assert!(answers[3].is_err());

    let requests = vec![good; 257];
    let refused = auth.validate_many(ValidateManyRequest { requests }).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    logic.stop().await;
}

#[tokio::test]
async fn a_refresh_token_works_once_and_its_reuse_ends_the_session() {
    let cluster = Cluster::start().await;
    let logic = cluster.logic("a").await;
    let mut auth = auth(&logic).await;
    let first = register(&mut auth, "alice").await;
    let refresh = |token: &str| RefreshRequest { refresh_token: token.into() };
    let second = auth.refresh(refresh(&first.refresh_token)).await.unwrap().into_inner();
    assert_eq!(second.session_id, first.session_id);
    auth.validate(access(&second.access_token)).await.unwrap();
    let reused = auth.refresh(refresh(&first.refresh_token)).await.unwrap_err();
    assert_eq!(code(&reused), "session_revoked");
    assert_eq!(code(&auth.validate(access(&second.access_token)).await.unwrap_err()), "session_revoked");
    assert_eq!(code(&auth.refresh(refresh("garbage")).await.unwrap_err()), "token_invalid");
    assert!(cluster.downstream(1).await[0].1.revoke.is_some(), "its connections are closed");
    logic.stop().await;
}

#[tokio::test]
async fn a_repo_that_is_away_is_unavailable_not_a_wrong_password() {
    let mut cluster = Cluster::start().await;
    let logic = cluster.logic("a").await;
    let mut auth = auth(&logic).await;
    register(&mut auth, "alice").await;
    cluster.stop_repo().await;
    let request =
        LoginRequest { name: "alice".into(), password: "correct horse".into(), device: String::new() };
    let refused = auth.login(request).await.unwrap_err();
    assert_eq!((refused.code(), code(&refused)), (Code::Unavailable, "unavailable"));
    logic.stop().await;
}
