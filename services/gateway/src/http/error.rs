//! A refusal as an HTTP answer: `{code, text, fix}`.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error_codes;
use crate::refusal::Refusal;

/// Why a request was refused.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorBody {
    /// A word of docs/protocol.md.
    code: String,
    /// What went wrong, for people.
    text: String,
    /// What to do about it, for people.
    fix: String,
}

/// A refusal and its status.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    refusal: Refusal,
}

impl ApiError {
    pub(super) fn bad_request(text: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, refusal: Refusal::bad_request(text) }
    }
}

impl From<tonic::Status> for ApiError {
    fn from(status: tonic::Status) -> Self {
        let refusal = Refusal::from(&status);
        let status = match status.code() {
            tonic::Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            tonic::Code::PermissionDenied => StatusCode::FORBIDDEN,
            tonic::Code::NotFound => StatusCode::NOT_FOUND,
            tonic::Code::AlreadyExists => StatusCode::CONFLICT,
            tonic::Code::InvalidArgument | tonic::Code::OutOfRange => StatusCode::BAD_REQUEST,
            tonic::Code::ResourceExhausted if refusal.code == error_codes::OVERLOADED.code => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            tonic::Code::FailedPrecondition | tonic::Code::ResourceExhausted => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            tonic::Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        if status.is_server_error() {
            tracing::debug!(%status, code = %refusal.code, "request failed behind the gateway");
        }
        Self { status, refusal }
    }
}

/// Of a token check.
impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let status = match &*refusal.code {
            "unavailable" | "overloaded" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        };
        Self { status, refusal }
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self { status: rejection.status(), refusal: Refusal::bad_request(rejection.body_text()) }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Refusal { code, text, fix, retry_after_ms } = self.refusal;
        let body = ErrorBody { code: code.into_owned(), text: text.into_owned(), fix: fix.into_owned() };
        let mut response = (self.status, Json(body)).into_response();
        if retry_after_ms > 0 {
            response.headers_mut().insert(RETRY_AFTER, retry_after_ms.div_ceil(1000).into());
        }
        response
    }
}

pub(super) async fn no_such_path() -> Response {
    let refusal = Refusal::bad_request("no such path; GET /api/v1/openapi.json lists them");
    ApiError { status: StatusCode::NOT_FOUND, refusal }.into_response()
}

pub(super) async fn no_such_method() -> Response {
    let refusal = Refusal::bad_request("this path has no such method; GET /api/v1/openapi.json lists them");
    ApiError { status: StatusCode::METHOD_NOT_ALLOWED, refusal }.into_response()
}
