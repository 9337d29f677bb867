//! A server with health and reflection that stops gracefully.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::Shutdown;

/// How long streams may go on after a shutdown has begun. A relay stream has no end of its own.
const GRACE: Duration = Duration::from_secs(5);

static DESCRIPTORS: OnceLock<&'static [u8]> = OnceLock::new();

/// Sets what reflection tells about this process: an encoded `FileDescriptorSet`. Once, before the first server;
/// without it there is no reflection. Global since it is a property of the binary, and this crate knows no protocol.
pub fn describe(descriptors: &'static [u8]) {
    let _ = DESCRIPTORS.set(descriptors);
}

/// A server that could not run.
#[derive(Debug, thiserror::Error)]
pub enum GrpcError {
    /// The descriptors are malformed.
    #[error("gRPC reflection")]
    Reflection(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The listener failed.
    #[error("gRPC server")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves until `shutdown` begins: then health says `NOT_SERVING`, no new call is taken, and calls under way may end
/// for 5 s.
pub async fn serve(listener: TcpListener, routes: Routes, shutdown: Shutdown) -> Result<(), GrpcError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    let mut routes = routes.add_service(health_service);
    if let Some(descriptors) = DESCRIPTORS.get() {
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .map_err(|e| GrpcError::Reflection(Box::new(e)))?;
        routes = routes.add_service(reflection);
    }
    let stopping = shutdown.clone();
    let server = Server::builder()
        // Finds peers that went away without a word; clients ping too, but a client may be the one that died.
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(5)))
        // A bound, not a target: services limit what they work on by their own measure.
        .max_concurrent_streams(Some(1024))
        // Fan-out sends bursts far above the 64 KiB that HTTP/2 starts with.
        .initial_stream_window_size(Some(1 << 20))
        .initial_connection_window_size(Some(4 << 20))
        .add_routes(routes.prepare())
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), async move {
            stopping.wait().await;
            health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        });
    let overtime = async {
        shutdown.wait().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = server => Ok(served?),
        () = overtime => {
            tracing::debug!(?GRACE, "gRPC streams were still open and are closed");
            Ok(())
        }
    }
}
