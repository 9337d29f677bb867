//! Who is who.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use gochat_proto::logic::GetUsersRequest;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::auth::Caller;
use super::error::{ApiError, ErrorBody};
use super::schema;
use crate::gateway::Gateway;

/// Which users; one of them.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Exactly this name.
    name: Option<String>,
    /// Names that begin so; at most 20 users.
    prefix: Option<String>,
    /// Ids, separated by commas.
    ids: Option<String>,
}

/// The user of the access token.
#[utoipa::path(get, path = "/api/v1/me", tag = "users",
    responses((status = 200, body = schema::User), (status = "4XX", body = ErrorBody)))]
pub(super) async fn me(State(gateway): State<Arc<Gateway>>, caller: Caller) -> Result<Json<Value>, ApiError> {
    let request =
        GetUsersRequest { user_id: caller.user, ids: vec![caller.user], ..GetUsersRequest::default() };
    let users = gateway.logic.chat.clone().get_users(request).await?.into_inner().users;
    let user = users.into_iter().next().ok_or_else(|| tonic::Status::not_found("no such user"))?;
    Ok(Json(json!(user)))
}

/// Finds users by name, by a prefix of it, or by id.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(Which),
    responses((status = 200, body = schema::Users), (status = "4XX", body = ErrorBody)))]
pub(super) async fn find(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(Which { name, prefix, ids }) = which?;
    let mut request = GetUsersRequest { user_id: caller.user, ..GetUsersRequest::default() };
    match (name, prefix, ids) {
        (Some(name), None, None) => request.name = name,
        (None, Some(prefix), None) => request.name_prefix = prefix,
        (None, None, Some(ids)) => {
            let parsed: Result<_, _> = ids.split(',').filter(|id| !id.is_empty()).map(str::parse).collect();
            request.ids =
                parsed.map_err(|_| ApiError::bad_request("ids: decimal ids, separated by commas"))?;
        }
        _ => return Err(ApiError::bad_request("set one of name, prefix and ids")),
    }
    let users = gateway.logic.chat.clone().get_users(request).await?.into_inner().users;
    Ok(Json(json!({ "users": users })))
}
