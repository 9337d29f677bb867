//! Accounts.

use gochat_db::{Arg, Row, placeholders};
use gochat_proto::repo::{
    CreateUserRequest, Credentials, FindUsersRequest, FindUsersResponse, GetCredentialsRequest,
};
use gochat_proto::types::User;
use tonic::Status;

use crate::check;
use crate::store::{Failure, Store, now_ms, padded};

/// Most users found by a prefix.
const MOST_BY_PREFIX: i64 = 20;
const FIND: &str = "SELECT user_id, name, display_name FROM users WHERE ";

pub(crate) async fn create(store: &Store, new: CreateUserRequest) -> Result<User, Status> {
    check::id("user_id", new.user_id)?;
    check::text("name", &new.name, 64)?;
    check::text("display_name", &new.display_name, 128)?;
    check::text("password_hash", &new.password_hash, 255)?;
    if new.name.is_empty() {
        return Err(check::invalid("name", "empty"));
    }
    let user = User { user_id: new.user_id, name: new.name, display_name: new.display_name };
    let args = [
        user.user_id.into(),
        user.name.as_str().into(),
        user.display_name.as_str().into(),
        new.password_hash.as_str().into(),
        now_ms().into(),
    ];
    store
        .run("create_user", || async {
            const INSERT: &str = "INSERT INTO users (user_id, name, display_name, password_hash, created_at_ms) \
                                  VALUES (?, ?, ?, ?, ?)";
            match store.db.execute(INSERT, &args).await {
                Err(error) if error.is_duplicate() => {}
                done => return Ok(done.map(drop)?),
            }
            // Our own, where the first attempt got no answer.
            let same = store.db.fetch(format!("{FIND}user_id = ?"), &[user.user_id.into()]).await?;
            match same.first().map(read).transpose()? {
                Some(same) if same == user => Ok(()),
                _ => Err(Failure::Refused(Status::already_exists("the name is taken"))),
            }
        })
        .await?;
    Ok(user)
}

pub(crate) async fn find(store: &Store, asked: FindUsersRequest) -> Result<FindUsersResponse, Status> {
    check::count("user_ids", asked.user_ids.len(), check::MOST_IDS)?;
    let users = store
        .run("find_users", || async {
            let rows = if !asked.user_ids.is_empty() {
                return by_ids(store, &asked.user_ids).await;
            } else if !asked.name.is_empty() {
                store.db.fetch(format!("{FIND}name = ?"), &[asked.name.as_str().into()]).await?
            } else if !asked.name_prefix.is_empty() {
                // A range instead of LIKE: it uses the index on both engines, and nothing needs escaping.
                let end = format!("{}\u{10FFFF}", asked.name_prefix);
                let args = [asked.name_prefix.as_str().into(), end.as_str().into(), MOST_BY_PREFIX.into()];
                store.db.fetch(format!("{FIND}name >= ? AND name < ? ORDER BY name LIMIT ?"), &args).await?
            } else {
                Vec::new()
            };
            rows.iter().map(read).collect()
        })
        .await?;
    Ok(FindUsersResponse { users })
}

/// The ones that exist, in any order.
pub(crate) async fn by_ids(store: &Store, ids: &[u64]) -> Result<Vec<User>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let args: Vec<Arg<'_>> = padded(ids).map(Arg::from).collect();
    let rows = store.db.fetch(format!("{FIND}user_id IN ({})", placeholders(ids.len())), &args).await?;
    rows.iter().map(read).collect()
}

pub(crate) async fn credentials(store: &Store, asked: GetCredentialsRequest) -> Result<Credentials, Status> {
    store
        .run("get_credentials", || async {
            let sql = "SELECT user_id, name, display_name, password_hash FROM users WHERE name = ?";
            let rows = store.db.fetch(sql, &[asked.name.as_str().into()]).await?;
            let row = rows.first().ok_or_else(|| Status::not_found("no such user"))?;
            Ok(Credentials { user: Some(read(row)?), password_hash: row.text(3)? })
        })
        .await
}

fn read(row: &Row) -> Result<User, Failure> {
    Ok(User { user_id: row.uint(0)?, name: row.text(1)?, display_name: row.text(2)? })
}
