//! The API's OpenAPI document, made from the handlers.

use axum::Json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{auth, conversations, messages, users};

#[derive(OpenApi)]
#[openapi(
    info(title = "GoChat", description = "Accounts, conversations and history. Live messages travel on the WebSocket at `/ws`. Ids and 64-bit numbers are decimal strings."),
    paths(
        auth::register, auth::login, auth::refresh, auth::logout,
        users::me, users::find,
        conversations::list, conversations::create, conversations::get_one,
        conversations::members, conversations::add_members, conversations::remove_member, conversations::set_role,
        messages::list, messages::read,
    ),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The document.
pub fn specification() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// `GET /api/v1/openapi.json`.
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(specification())
}
