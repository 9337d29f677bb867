//! The HTTP upgrade. By hand, since the framework's own keeps buffers that an idle connection pays for.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::codec::Codec;
use super::handshake::handshake;
use crate::edge::Admission;
use crate::gateway::Gateway;

/// `GET /ws`.
pub(crate) async fn upgrade(State(gateway): State<Arc<Gateway>>, mut request: Request) -> Response {
    let headers = request.headers();
    if !has_token(headers, CONNECTION, "upgrade") || !has_token(headers, UPGRADE, "websocket") {
        return (StatusCode::UPGRADE_REQUIRED, [(UPGRADE, "websocket")], "this is a WebSocket\n")
            .into_response();
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes())) else {
        return (StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is missing\n").into_response();
    };
    if !has_token(headers, SEC_WEBSOCKET_VERSION, "13") {
        return (StatusCode::UPGRADE_REQUIRED, [(SEC_WEBSOCKET_VERSION, "13")], "version 13 only\n")
            .into_response();
    }
    // The header may come more than once.
    let offered: Vec<&str> =
        headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok()).collect();
    let offered = (!offered.is_empty()).then(|| offered.join(","));
    let Some(codec) = Codec::negotiate(offered.as_deref()) else {
        let known = "subprotocols: gochat.v1+proto, gochat.v1+json\n";
        return (StatusCode::BAD_REQUEST, known).into_response();
    };
    let Some(admission) = gateway.edge.admit() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], "too many connections\n")
            .into_response();
    };
    tokio::spawn(serve(gateway, hyper::upgrade::on(&mut request), codec, admission));

    let mut response = (
        StatusCode::SWITCHING_PROTOCOLS,
        [(CONNECTION, "upgrade"), (UPGRADE, "websocket")],
        [(SEC_WEBSOCKET_ACCEPT, key)],
    )
        .into_response();
    if offered.is_some() {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(codec.name()));
    }
    response
}

async fn serve(gateway: Arc<Gateway>, upgraded: OnUpgrade, codec: Codec, admission: Admission) {
    let Ok(upgraded) = upgraded.await else { return };
    // Back to the bare socket: every layer less is a poll less and some bytes less, a million times.
    let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else { return };
    let (socket, config) = (parts.io.into_inner(), Some(gateway.websocket_config()));
    let socket = if parts.read_buf.is_empty() {
        WebSocketStream::from_raw_socket(socket, Role::Server, config).await
    } else {
        WebSocketStream::from_partially_read(socket, parts.read_buf.to_vec(), Role::Server, config).await
    };
    if let Some(session) = Box::pin(handshake(gateway, socket, codec, admission)).await {
        // A task of its own: this one's memory is freed.
        tokio::spawn(session);
    }
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name);
    values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
}
