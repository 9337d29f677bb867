//! Logins. A refresh token works once; a second use revokes its session (RFC 9700, 4.14.2).

use gochat_db::Row;
use gochat_proto::repo::{
    CreateSessionRequest, GetSessionRequest, RevokeSessionRequest, RevokeSessionResponse,
    RotateSessionRequest, Session,
};
use tonic::Status;

use crate::check;
use crate::store::{Failure, Store, now_ms};

const FIND: &str = "SELECT session_id, user_id, device, expires_at_ms, revoked, refresh_hash FROM sessions \
                    WHERE session_id = ?";

pub(crate) async fn create(store: &Store, asked: CreateSessionRequest) -> Result<Session, Status> {
    let session = asked.session.ok_or_else(|| check::invalid("session", "not set"))?;
    check::id("session_id", session.session_id)?;
    check::id("user_id", session.user_id)?;
    check::text("device", &session.device, 128)?;
    hash("refresh_hash", &asked.refresh_hash)?;
    let args = [
        session.session_id.into(),
        session.user_id.into(),
        session.device.as_str().into(),
        asked.refresh_hash.as_ref().into(),
        session.expires_at_ms.into(),
    ];
    store
        .run("create_session", || async {
            const INSERT: &str = "INSERT INTO sessions \
                (session_id, user_id, device, refresh_hash, expires_at_ms, revoked) VALUES (?, ?, ?, ?, ?, 0)";
            // Who logs in clears away what is over of his own: so nothing grows, and no job is needed.
            const CLEAR: &str = "DELETE FROM sessions WHERE user_id = ? AND expires_at_ms < ?";
            store.db.execute(CLEAR, &[session.user_id.into(), now_ms().into()]).await?;
            match store.db.execute(INSERT, &args).await {
                Err(error) if error.is_duplicate() => {}
                done => return Ok(done.map(drop)?),
            }
            // Our own, where the first attempt got no answer.
            match find(store, session.session_id).await? {
                (same, hash) if same == session && hash == asked.refresh_hash => Ok(()),
                _ => Err(Failure::Refused(Status::already_exists("the session id is taken"))),
            }
        })
        .await?;
    Ok(session)
}

pub(crate) async fn get(store: &Store, asked: GetSessionRequest) -> Result<Session, Status> {
    store.run("get_session", || async { Ok(find(store, asked.session_id).await?.0) }).await
}

pub(crate) async fn rotate(store: &Store, asked: RotateSessionRequest) -> Result<Session, Status> {
    hash("old_refresh_hash", &asked.old_refresh_hash)?;
    hash("new_refresh_hash", &asked.new_refresh_hash)?;
    store.run("rotate_session", || try_rotate(store, &asked)).await
}

async fn try_rotate(store: &Store, asked: &RotateSessionRequest) -> Result<Session, Failure> {
    const REVOKE: &str = "UPDATE sessions SET revoked = 1 WHERE session_id = ?";
    const ROTATE: &str = "UPDATE sessions SET refresh_hash = ?, expires_at_ms = ? WHERE session_id = ?";
    let id = asked.session_id.into();
    let mut tx = store.db.begin().await?;
    let rows = tx.fetch(format!("{FIND}{}", store.db.for_update()), &[id]).await?;
    let Some(row) = rows.first() else {
        tx.rollback().await?;
        return Err(Status::not_found("no such session").into());
    };
    let (mut session, current) = read(row)?;
    if session.revoked || session.expires_at_ms <= now_ms() {
        tx.rollback().await?;
        return Err(Status::failed_precondition("the session has ended").into());
    }
    if current == asked.new_refresh_hash {
        // The same rotation again, after its commit got no answer.
        tx.rollback().await?;
        return Ok(session);
    }
    if current != asked.old_refresh_hash {
        tx.execute(REVOKE, &[id]).await?;
        tx.commit().await?;
        return Err(
            Status::failed_precondition("the refresh token was used before; the session is revoked").into()
        );
    }
    tx.execute(ROTATE, &[asked.new_refresh_hash.as_ref().into(), asked.expires_at_ms.into(), id]).await?;
    tx.commit().await?;
    session.expires_at_ms = asked.expires_at_ms;
    Ok(session)
}

pub(crate) async fn revoke(
    store: &Store,
    asked: RevokeSessionRequest,
) -> Result<RevokeSessionResponse, Status> {
    const REVOKE: &str = "UPDATE sessions SET revoked = 1 WHERE session_id = ? AND user_id = ?";
    store
        .run("revoke_session", || async {
            let (session, _) = find(store, asked.session_id).await?;
            if session.user_id != asked.user_id {
                return Err(Status::not_found("no such session of this user").into());
            }
            store.db.execute(REVOKE, &[asked.session_id.into(), asked.user_id.into()]).await?;
            Ok(RevokeSessionResponse {})
        })
        .await
}

async fn find(store: &Store, id: u64) -> Result<(Session, Vec<u8>), Failure> {
    let rows = store.db.fetch(FIND, &[id.into()]).await?;
    rows.first().map_or_else(|| Err(Status::not_found("no such session").into()), read)
}

fn read(row: &Row) -> Result<(Session, Vec<u8>), Failure> {
    let session = Session {
        session_id: row.uint(0)?,
        user_id: row.uint(1)?,
        device: row.text(2)?,
        expires_at_ms: row.int(3)?,
        revoked: row.int(4)? != 0,
    };
    Ok((session, row.bytes(5)?))
}

fn hash(field: &str, hash: &[u8]) -> Result<(), Status> {
    if (16..=64).contains(&hash.len()) { Ok(()) } else { Err(check::invalid(field, "not 16 to 64 bytes")) }
}
