//! History and read cursors. Messages are sent over the WebSocket only.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use gochat_proto::logic::{ListMessagesRequest, MarkReadRequest};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::auth::Caller;
use super::error::{ApiError, ErrorBody};
use super::schema::{self, ReadUpTo};
use crate::gateway::Gateway;

/// Which messages; neither `after` nor `before`: the newest.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Range {
    /// Upwards from the seq after this one; 0 is from the first.
    after: Option<u64>,
    /// Downwards from the seq before this one.
    before: Option<u64>,
    /// 1 to 500; 100 by default.
    #[serde(default)]
    limit: u32,
}

/// Messages of a conversation, in rising seq.
#[utoipa::path(get, path = "/api/v1/conversations/{id}/messages", tag = "messages",
    params(("id" = String, Path, description = "Of the conversation"), Range),
    responses((status = 200, body = schema::Messages), (status = "4XX", body = ErrorBody)))]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    path: Result<Path<u64>, PathRejection>,
    range: Result<Query<Range>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let (Path(conversation_id), Query(Range { after, before, limit })) = (path?, range?);
    if after.is_some() && before.is_some() {
        return Err(ApiError::bad_request("after and before exclude each other"));
    }
    let request = ListMessagesRequest {
        user_id: caller.user,
        conversation_id,
        after_seq: after,
        before_seq: before,
        limit,
    };
    let page = gateway.logic.chat.clone().list_messages(request).await?.into_inner();
    Ok(Json(json!({ "messages": page.messages, "more": page.more, "lastSeq": page.last_seq.to_string() })))
}

/// Moves the user's read cursor forward.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/read", tag = "messages", request_body = ReadUpTo,
    params(("id" = String, Path, description = "Of the conversation")),
    responses((status = 200, body = schema::Read), (status = "4XX", body = ErrorBody)))]
pub(super) async fn read(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    path: Result<Path<u64>, PathRejection>,
    body: Result<Json<ReadUpTo>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let (Path(conversation_id), Json(ReadUpTo { seq })) = (path?, body?);
    let request = MarkReadRequest { user_id: caller.user, conversation_id, seq: seq.0 };
    let cursor = gateway.logic.chat.clone().mark_read(request).await?.into_inner();
    Ok(Json(json!({ "readSeq": cursor.read_seq.to_string() })))
}
