//! Accounts and tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use gochat_proto::logic::validate_request::Token;
use gochat_proto::logic::{LoginRequest, LogoutRequest, RefreshRequest, RegisterRequest, TokenPair};
use serde_json::{Value, json};

use super::error::{ApiError, ErrorBody};
use super::schema::{self, Login, Refresh, Register};
use crate::error_codes;
use crate::gateway::Gateway;
use crate::refusal::Refusal;

/// Who asks: an access token that logic found valid, and a session that is not revoked.
pub(super) struct Caller {
    pub(super) user: u64,
    pub(super) session: u64,
}

impl FromRequestParts<Arc<Gateway>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, ApiError> {
        let token = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim().to_owned())
            .ok_or_else(|| Refusal::from(error_codes::UNAUTHENTICATED))?;
        let identity = gateway.logic.identify.ask(Token::AccessToken(token), false).await?;
        Ok(Self { user: identity.user_id, session: identity.session_id })
    }
}

/// Creates an account and logs in.
#[utoipa::path(post, path = "/api/v1/register", tag = "accounts", request_body = Register, security(()),
    responses((status = 200, body = schema::TokenPair), (status = "4XX", body = ErrorBody)))]
pub(super) async fn register(
    State(gateway): State<Arc<Gateway>>,
    body: Result<Json<Register>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let Json(Register { name, password, display_name, device }) = body?;
    let request = RegisterRequest { name, password, display_name, device };
    Ok(tokens(&gateway.logic.auth.clone().register(request).await?.into_inner()))
}

/// Begins a session.
#[utoipa::path(post, path = "/api/v1/login", tag = "accounts", request_body = Login, security(()),
    responses((status = 200, body = schema::TokenPair), (status = "4XX", body = ErrorBody)))]
pub(super) async fn login(
    State(gateway): State<Arc<Gateway>>,
    body: Result<Json<Login>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let Json(Login { name, password, device }) = body?;
    let request = LoginRequest { name, password, device };
    Ok(tokens(&gateway.logic.auth.clone().login(request).await?.into_inner()))
}

/// New tokens for a refresh token, which is good once: a second use ends the session.
#[utoipa::path(post, path = "/api/v1/refresh", tag = "accounts", request_body = Refresh, security(()),
    responses((status = 200, body = schema::TokenPair), (status = "4XX", body = ErrorBody)))]
pub(super) async fn refresh(
    State(gateway): State<Arc<Gateway>>,
    body: Result<Json<Refresh>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let Json(Refresh { refresh_token }) = body?;
    let request = RefreshRequest { refresh_token };
    Ok(tokens(&gateway.logic.auth.clone().refresh(request).await?.into_inner()))
}

/// Ends the session of the access token; its connections are closed.
#[utoipa::path(post, path = "/api/v1/logout", tag = "accounts",
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
pub(super) async fn logout(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    let request = LogoutRequest { user_id: caller.user, session_id: caller.session };
    gateway.logic.auth.clone().logout(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn tokens(pair: &TokenPair) -> Json<Value> {
    Json(json!({
        "user": pair.user,
        "sessionId": pair.session_id.to_string(),
        "accessToken": pair.access_token,
        "refreshToken": pair.refresh_token,
        "expiresAtMs": pair.expires_at_ms.to_string(),
    }))
}
