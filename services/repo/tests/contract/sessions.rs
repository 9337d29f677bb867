//! A refresh token works once.

use gochat_proto::repo::user_repo_server::UserRepo;
use gochat_proto::repo::{
    CreateSessionRequest, GetSessionRequest, RevokeSessionRequest, RotateSessionRequest, Session,
};
use tonic::{Code, Request, Status};

use crate::harness::{Harness, call};

crate::promises!(
    a_refresh_token_rotates_once_and_its_reuse_revokes_the_session,
    of_concurrent_rotations_one_wins_and_the_session_ends,
    a_session_is_revoked_by_its_user_only,
);

const FAR: i64 = 9_000_000_000_000;

async fn create(harness: &Harness, session_id: u64) {
    let session =
        Session { session_id, user_id: 1, device: "phone".into(), expires_at_ms: FAR, revoked: false };
    let request = CreateSessionRequest { session: Some(session), refresh_hash: vec![1; 32].into() };
    call(harness.repo.create_session(Request::new(request)).await).unwrap();
}

async fn rotate(harness: &Harness, session_id: u64, old: u8, new: u8) -> Result<Session, Status> {
    let request = RotateSessionRequest {
        session_id,
        old_refresh_hash: vec![old; 32].into(),
        new_refresh_hash: vec![new; 32].into(),
        expires_at_ms: FAR + 1,
    };
    call(harness.repo.rotate_session(Request::new(request)).await)
}

async fn get(harness: &Harness, session_id: u64) -> Result<Session, Status> {
    call(harness.repo.get_session(Request::new(GetSessionRequest { session_id })).await)
}

async fn a_refresh_token_rotates_once_and_its_reuse_revokes_the_session(harness: Harness) {
    create(&harness, 7).await;
    assert_eq!(rotate(&harness, 7, 1, 2).await.unwrap().expires_at_ms, FAR + 1);
    // The very same rotation again: its answer was lost.
    assert_eq!(rotate(&harness, 7, 1, 2).await.unwrap().expires_at_ms, FAR + 1);
    assert_eq!(rotate(&harness, 7, 2, 3).await.unwrap().expires_at_ms, FAR + 1);
    assert!(!get(&harness, 7).await.unwrap().revoked);
    assert_eq!(rotate(&harness, 7, 2, 4).await.unwrap_err().code(), Code::FailedPrecondition);
    assert!(get(&harness, 7).await.unwrap().revoked);
    // The thief's and the owner's next ones fail alike.
    assert_eq!(rotate(&harness, 7, 3, 5).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(rotate(&harness, 8, 1, 2).await.unwrap_err().code(), Code::NotFound);
}

async fn of_concurrent_rotations_one_wins_and_the_session_ends(harness: Harness) {
    create(&harness, 7).await;
    let all = futures::future::join_all((2..8).map(|new| rotate(&harness, 7, 1, new))).await;
    assert_eq!(all.iter().filter(|r| r.is_ok()).count(), 1);
    assert!(get(&harness, 7).await.unwrap().revoked);
}

async fn a_session_is_revoked_by_its_user_only(harness: Harness) {
    create(&harness, 7).await;
    let revoke = async |user_id| {
        let request = RevokeSessionRequest { session_id: 7, user_id };
        call(harness.repo.revoke_session(Request::new(request)).await).map(drop).map_err(|s| s.code())
    };
    assert_eq!(revoke(2).await, Err(Code::NotFound));
    assert!(!get(&harness, 7).await.unwrap().revoked);
    assert_eq!(revoke(1).await, Ok(()));
    assert_eq!(revoke(1).await, Ok(()), "again is the same");
    assert!(get(&harness, 7).await.unwrap().revoked);
}
