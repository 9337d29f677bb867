//! HTTP/1: the page, the API under `/api/v1`, and the WebSocket's upgrade.

mod auth;
mod conversations;
mod error;
mod messages;
pub mod openapi;
mod page;
mod schema;
mod users;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use gochat_chassis::Shutdown;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tower_http::timeout::TimeoutLayer;

use crate::gateway::Gateway;
use crate::ws::upgrade::upgrade;

/// Largest body of a request: a group's members by id fit.
const BODY_LIMIT: usize = 256 * 1024;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// More than a call to logic may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

pub(crate) fn router(gateway: Arc<Gateway>) -> Router {
    let api = Router::new()
        .route("/register", post(auth::register))
        .route("/login", post(auth::login))
        .route("/refresh", post(auth::refresh))
        .route("/logout", post(auth::logout))
        .route("/me", get(users::me))
        .route("/users", get(users::find))
        .route("/conversations", get(conversations::list).post(conversations::create))
        .route("/conversations/{id}", get(conversations::get_one))
        .route("/conversations/{id}/members", get(conversations::members).post(conversations::add_members))
        .route("/conversations/{id}/members/{user_id}", axum::routing::delete(conversations::remove_member))
        .route("/conversations/{id}/members/{user_id}/role", put(conversations::set_role))
        .route("/conversations/{id}/messages", get(messages::list))
        .route("/conversations/{id}/read", post(messages::read))
        .route("/openapi.json", get(openapi::document))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, REQUEST_TIMEOUT));
    Router::new().nest("/api/v1", api).route("/ws", get(upgrade)).fallback(page::serve).with_state(gateway)
}

/// Accepts connections until told to stop. Those under way end with their clients or the process.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: Shutdown) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.wait() => return,
        };
        match accepted {
            Ok((socket, _)) => {
                tokio::spawn(connection(socket, router.clone(), stop.clone()));
            }
            Err(error) => {
                // Out of files, or the peer is gone already: the next one may do better, but not at once.
                tracing::warn!(%error, "connection can't be accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn connection(socket: TcpStream, router: Router, stop: Shutdown) {
    // Frames are small and should not wait for each other.
    let _ = socket.set_nodelay(true);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router))
        .with_upgrades();
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.wait() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "HTTP connection ended badly");
    }
}
