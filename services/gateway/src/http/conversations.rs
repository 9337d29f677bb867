//! Conversations and their members.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use gochat_proto::logic::{
    AddMembersRequest, CreateDirectRequest, CreateGroupRequest, GetConversationRequest,
    ListConversationsRequest, ListMembersRequest, RemoveMemberRequest, SetRoleRequest,
};
use gochat_proto::types;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::auth::Caller;
use super::error::{ApiError, ErrorBody};
use super::schema::{self, NewConversation, NewMembers, NewRole, Role};
use crate::gateway::Gateway;

/// A page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// `nextPage` of the page before; empty for the first.
    #[serde(default)]
    page: String,
    /// 1 to 200; 100 by default.
    #[serde(default)]
    limit: u32,
}

/// A page of members.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct MemberPage {
    /// The last user id of the page before.
    #[serde(default)]
    after: u64,
    /// How many at most.
    #[serde(default)]
    limit: u32,
}

/// The user's conversations.
#[utoipa::path(get, path = "/api/v1/conversations", tag = "conversations", params(Page),
    responses((status = 200, body = schema::Conversations), (status = "4XX", body = ErrorBody)))]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(Page { page, limit }) = page?;
    let request = ListConversationsRequest { user_id: caller.user, page, limit };
    let found = gateway.logic.chat.clone().list_conversations(request).await?.into_inner();
    Ok(Json(json!({ "conversations": found.conversations, "nextPage": found.next_page })))
}

/// Begins a direct chat (the one that exists is returned) or a group.
#[utoipa::path(post, path = "/api/v1/conversations", tag = "conversations", request_body = NewConversation,
    responses((status = 200, body = schema::Conversation), (status = "4XX", body = ErrorBody)))]
pub(super) async fn create(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    body: Result<Json<NewConversation>, JsonRejection>,
) -> Result<Json<types::Conversation>, ApiError> {
    let Json(NewConversation { peer_id, title, member_ids }) = body?;
    let mut chat = gateway.logic.chat.clone();
    let created = match (peer_id, title) {
        (Some(peer), None) if member_ids.is_empty() => {
            chat.create_direct(CreateDirectRequest { user_id: caller.user, peer_id: peer.0 }).await?
        }
        (None, Some(title)) => {
            let member_ids = member_ids.into_iter().map(|id| id.0).collect();
            chat.create_group(CreateGroupRequest { user_id: caller.user, title, member_ids }).await?
        }
        _ => {
            return Err(ApiError::bad_request(
                "set peerId for a direct chat, or title and memberIds for a group",
            ));
        }
    };
    Ok(Json(created.into_inner()))
}

/// One conversation.
#[utoipa::path(get, path = "/api/v1/conversations/{id}", tag = "conversations",
    params(("id" = String, Path, description = "Of the conversation")),
    responses((status = 200, body = schema::Conversation), (status = "4XX", body = ErrorBody)))]
pub(super) async fn get_one(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    path: Result<Path<u64>, PathRejection>,
) -> Result<Json<types::Conversation>, ApiError> {
    let Path(conversation_id) = path?;
    let request = GetConversationRequest { user_id: caller.user, conversation_id };
    Ok(Json(gateway.logic.chat.clone().get_conversation(request).await?.into_inner()))
}

/// Its members, by rising id.
#[utoipa::path(get, path = "/api/v1/conversations/{id}/members", tag = "members",
    params(("id" = String, Path, description = "Of the conversation"), MemberPage),
    responses((status = 200, body = schema::Members), (status = "4XX", body = ErrorBody)))]
pub(super) async fn members(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    path: Result<Path<u64>, PathRejection>,
    page: Result<Query<MemberPage>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let (Path(conversation_id), Query(MemberPage { after, limit })) = (path?, page?);
    let request = ListMembersRequest { user_id: caller.user, conversation_id, after_user_id: after, limit };
    let page = gateway.logic.chat.clone().list_members(request).await?.into_inner();
    Ok(Json(json!({ "members": page.members, "users": page.users, "more": page.more })))
}

/// Adds members to a group.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/members", tag = "members", request_body = NewMembers,
    params(("id" = String, Path, description = "Of the conversation")),
    responses((status = 200, body = schema::Conversation), (status = "4XX", body = ErrorBody)))]
pub(super) async fn add_members(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    path: Result<Path<u64>, PathRejection>,
    body: Result<Json<NewMembers>, JsonRejection>,
) -> Result<Json<types::Conversation>, ApiError> {
    let (Path(conversation_id), Json(NewMembers { member_ids })) = (path?, body?);
    let member_ids = member_ids.into_iter().map(|id| id.0).collect();
    let request = AddMembersRequest { user_id: caller.user, conversation_id, member_ids };
    Ok(Json(gateway.logic.chat.clone().add_members(request).await?.into_inner()))
}

/// Removes a member; oneself: leaves.
#[utoipa::path(delete, path = "/api/v1/conversations/{id}/members/{user_id}", tag = "members",
    params(("id" = String, Path, description = "Of the conversation"), ("user_id" = String, Path, description = "Who goes")),
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
pub(super) async fn remove_member(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    path: Result<Path<(u64, u64)>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let Path((conversation_id, member_id)) = path?;
    let request = RemoveMemberRequest { user_id: caller.user, conversation_id, member_id };
    gateway.logic.chat.clone().remove_member(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes a member's role.
#[utoipa::path(put, path = "/api/v1/conversations/{id}/members/{user_id}/role", tag = "members", request_body = NewRole,
    params(("id" = String, Path, description = "Of the conversation"), ("user_id" = String, Path, description = "Whose role")),
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
pub(super) async fn set_role(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    path: Result<Path<(u64, u64)>, PathRejection>,
    body: Result<Json<NewRole>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let (Path((conversation_id, member_id)), Json(NewRole { role })) = (path?, body?);
    let role = match role {
        Role::Member => types::Role::Member,
        Role::Admin => types::Role::Admin,
        Role::Owner => types::Role::Owner,
    };
    let request = SetRoleRequest { user_id: caller.user, conversation_id, member_id, role: role.into() };
    gateway.logic.chat.clone().set_role(request).await?;
    Ok(StatusCode::NO_CONTENT)
}
