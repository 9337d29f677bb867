//! The port for probes and metrics. Never for clients: it tells what is wrong inside.

use std::fmt::Write as _;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

use crate::{Health, Shutdown};

/// The recorder's histograms grow until they are drained; scrapes do it too, but nobody may scrape.
const UPKEEP: Duration = Duration::from_secs(5);

/// `/livez`, `/readyz` and `/metrics`.
#[derive(Debug)]
pub struct Admin;

impl Admin {
    /// Serves until dropped. It goes on after `shutdown` has begun, and `/readyz` says 503 then: a drain is watched
    /// through this port, and load balancers have to see it.
    pub async fn serve(
        listener: TcpListener,
        health: Health,
        metrics: PrometheusHandle,
        shutdown: Shutdown,
    ) -> std::io::Result<()> {
        let upkeep = metrics.clone();
        let router = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(ready).with_state((health, shutdown)))
            .route("/metrics", get(render).with_state(metrics));
        tokio::select! {
            served = async { axum::serve(listener, router).await } => served,
            never = async { loop {
                tokio::time::sleep(UPKEEP).await;
                upkeep.run_upkeep();
            }} => never,
        }
    }
}

async fn ready(State((health, shutdown)): State<(Health, Shutdown)>) -> impl IntoResponse {
    if shutdown.is_shutting_down() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned());
    }
    let failing = health.failing();
    if failing.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let mut text = String::new();
    for (name, reason) in failing {
        let _ = writeln!(text, "{name}: {reason}");
    }
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

async fn render(State(metrics): State<PrometheusHandle>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render() + &crate::process::text())
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    #[tokio::test]
    async fn the_probes_say_what_is_wrong_and_the_metrics_are_rendered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (health, shutdown) = (Health::new(), Shutdown::new());
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || metrics::counter!("gochat_test_total").increment(3));
        tokio::spawn(Admin::serve(listener, health.clone(), handle, shutdown.clone()));

        let db = health.check("db");
        db.not_ready("no answer from 10.0.0.7");
        assert_eq!(get(address, "/livez").await.0, 200);
        assert_eq!(get(address, "/readyz").await, (503, "db: no answer from 10.0.0.7\n".to_owned()));
        db.ready();
        assert_eq!(get(address, "/readyz").await.0, 200);
        assert!(get(address, "/metrics").await.1.contains("gochat_test_total 3"));

        shutdown.begin();
        assert_eq!(get(address, "/readyz").await, (503, "stopping\n".to_owned()));
        assert_eq!(
            get(address, "/livez").await.0,
            200,
            "a process that drains must not be killed by its probe"
        );
    }
}
