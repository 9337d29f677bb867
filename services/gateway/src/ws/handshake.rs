//! From an open socket to a welcomed client: hello, token, place in the edge, home.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use gochat_proto::client::{
    GoingAway, Hello, Limits, ServerFrame, Welcome, client_frame, server_frame::Frame,
};
use gochat_proto::logic::validate_request::Token;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as WsError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::codec::Codec;
use super::inbound::Inbound;
use super::session::{Client, Session, discard};
use crate::clock::unix_ms;
use crate::edge::{Admission, Attached, Connection, TooMany};
use crate::error_codes::{self as codes, CloseCode};
use crate::gateway::{Gateway, millis};
use crate::refusal::Refusal;

/// How long a welcome waits for the user's home.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a refused client gets to read why.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);

/// Why there is no session.
enum Failure {
    /// The client left.
    Gone,
    Refused(Refusal, CloseCode),
}

/// Welcomes a client, or tells it why not. Boxed by the caller: a session is smaller.
pub(crate) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    gateway: Arc<Gateway>,
    mut socket: WebSocketStream<S>,
    codec: Codec,
    admission: Admission,
) -> Option<Session<S>> {
    match welcome(&gateway, &mut socket, codec, admission).await {
        Ok(client) => Some(Session::new(socket, client)),
        Err(Failure::Gone) => {
            gateway.metrics.closed(None);
            None
        }
        Err(Failure::Refused(refusal, code)) => {
            gateway.metrics.closed(Some(code));
            // A client that does not read it does not need it.
            let _ = tokio::time::timeout(FAREWELL_TIMEOUT, farewell(&mut socket, codec, refusal, code)).await;
            None
        }
    }
}

async fn welcome<S: AsyncRead + AsyncWrite + Unpin>(
    gateway: &Arc<Gateway>,
    socket: &mut WebSocketStream<S>,
    codec: Codec,
    admission: Admission,
) -> Result<Client, Failure> {
    let limits = &gateway.config.limits;
    let hello = tokio::time::timeout(limits.hello_timeout, hello(socket, codec))
        .await
        .unwrap_or_else(|_| Err(Failure::Refused(codes::HELLO_TIMEOUT.into(), CloseCode::Unauthenticated)))?;
    let resumed = !hello.resume_token.is_empty();
    let identity = gateway.logic.identify.ask(token(hello)?, true).await.map_err(unauthenticated)?;

    let now = gateway.clock().now();
    // 0 is "not set".
    let ends =
        (identity.expires_at_ms != 0).then(|| now.after_ms(identity.expires_at_ms.saturating_sub(unix_ms())));
    let connection = Arc::new(Connection::new(
        gateway.edge.next_connection_id(),
        (identity.user_id, identity.session_id),
        codec,
        &identity.resume_token,
        ends,
        now,
    ));
    let attached = gateway.edge.attach(&connection).map_err(|TooMany| {
        Failure::Refused(codes::TOO_MANY_CONNECTIONS.into(), CloseCode::TooManyConnections)
    })?;
    let client = Client {
        gateway: Arc::clone(gateway),
        inbound: Inbound::new(gateway),
        connection: Arc::clone(&connection),
        _admission: admission,
    };
    let sync = match attached {
        Attached::Now => false,
        // Late or never: then the edge tells the session to sync when it is attached.
        Attached::Soon(soon) => matches!(tokio::time::timeout(ATTACH_TIMEOUT, soon).await, Ok(Ok(true))),
    };

    let frame = Frame::Welcome(Welcome {
        user_id: identity.user_id,
        session_id: identity.session_id,
        resumed,
        resume_token: identity.resume_token,
        heartbeat_interval_ms: millis(gateway.config.heartbeat_interval),
        limits: Some(Limits {
            max_frame_bytes: u32::try_from(limits.frame_bytes).unwrap_or(u32::MAX),
            max_text_bytes: u32::try_from(limits.text_bytes).unwrap_or(u32::MAX),
            messages_per_second: limits.messages_per_second,
            max_sync_messages: limits.sync_messages,
        }),
        sync_within_ms: gateway.herd.lock().welcome(now, millis(gateway.config.sync_spread)),
    });
    // Written here and not queued: pushes wait in the outbox already, and the welcome is the first frame.
    let welcome = codec.message(codec.encode(&ServerFrame { frame: Some(frame) }));
    socket.send(welcome).await.map_err(|_| Failure::Gone)?;
    connection.heard(gateway.clock().now());
    if sync {
        gateway.edge.require_sync(&connection, "handover");
    }
    Ok(client)
}

/// The first frame.
async fn hello<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    codec: Codec,
) -> Result<Hello, Failure> {
    loop {
        let message = match socket.next().await {
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(_))) | None => return Err(Failure::Gone),
            Some(Ok(message)) => message,
            Some(Err(WsError::Capacity(CapacityError::MessageTooLong { .. }))) => {
                return Err(Failure::Refused(codes::FRAME_TOO_LARGE.into(), CloseCode::TooBig));
            }
            Some(Err(WsError::Protocol(_) | WsError::Utf8(_))) => {
                return Err(Failure::Refused(codes::BAD_FRAME.into(), CloseCode::BadFrame));
            }
            Some(Err(_)) => return Err(Failure::Gone),
        };
        return match codec.decode(&message) {
            Ok(client_frame::Frame::Hello(hello)) => Ok(hello),
            Ok(_) | Err(codes::UNKNOWN_FRAME) => {
                Err(Failure::Refused(codes::HELLO_REQUIRED.into(), CloseCode::Unauthenticated))
            }
            Err(code) => Err(Failure::Refused(code.into(), CloseCode::BadFrame)),
        };
    }
}

fn token(hello: Hello) -> Result<Token, Failure> {
    if hello.device.len() > 64 {
        let refusal = Refusal::bad_request("device is longer than 64 bytes");
        return Err(Failure::Refused(refusal, CloseCode::Unauthenticated));
    }
    match (hello.access_token.is_empty(), hello.resume_token.is_empty()) {
        (false, true) => Ok(Token::AccessToken(hello.access_token)),
        (true, false) => Ok(Token::ResumeToken(hello.resume_token)),
        _ => {
            let refusal = Refusal {
                text: "exactly one of accessToken and resumeToken must be set".into(),
                ..codes::UNAUTHENTICATED.into()
            };
            Err(Failure::Refused(refusal, CloseCode::Unauthenticated))
        }
    }
}

fn unauthenticated(refusal: Refusal) -> Failure {
    let code = match &*refusal.code {
        "session_revoked" => CloseCode::SessionRevoked,
        "token_expired" => CloseCode::TokenExpired,
        // Not the client's fault: it is sent away and may come back with the same token.
        "unavailable" | "overloaded" => CloseCode::GoingAway,
        _ => CloseCode::Unauthenticated,
    };
    Failure::Refused(refusal, code)
}

/// The reason, and the end.
async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    codec: Codec,
    refusal: Refusal,
    code: CloseCode,
) {
    let retry_after_ms = refusal.retry_after_ms;
    let mut last = vec![refusal.into_frame()];
    if code == CloseCode::GoingAway {
        let going = GoingAway { retry_after_ms, resume_token: String::new() };
        last.push(ServerFrame { frame: Some(Frame::GoingAway(going)) });
    }
    for frame in &last {
        if socket.feed(codec.message(codec.encode(frame))).await.is_err() {
            return;
        }
    }
    let frame = CloseFrame { code: (code as u16).into(), reason: code.reason().into() };
    if socket.close(Some(frame)).await.is_ok() {
        // Until the client closes too: a reset would take the reason with it.
        while let Some(Ok(_)) = socket.next().await {}
        let stream = socket.get_mut();
        if stream.shutdown().await.is_ok() {
            std::future::poll_fn(|context| discard(stream, context)).await;
        }
    }
}
