//! The connection to an API server.
//!
//! Put together here rather than taken ready-made from kube, whose own retries the session's loops do already, whose
//! log has a line of level error for each failed request, and whose connections can be dead for five minutes
//! before a watch on them notices.

use std::time::Duration;

use hyper_util::client::legacy::{Client as HttpClient, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::ConfigExt as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder};

use crate::KubernetesConfig;

/// Until the first byte of an answer; far above what a call of a session may take, for a list of thousands of keys.
const ANSWER: Duration = Duration::from_secs(10);

/// Reads files only.
pub(super) async fn connect(config: &KubernetesConfig, lease_ttl: Duration) -> Result<Client, String> {
    let mut api = if config.kubeconfig.as_os_str().is_empty() {
        Config::infer().await.map_err(|e| reason(&e))?
    } else {
        let file = Kubeconfig::read_from(&config.kubeconfig).map_err(|e| reason(&e))?;
        Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(|e| reason(&e))?
    };
    if !config.namespace.is_empty() {
        api.default_namespace.clone_from(&config.namespace);
    }
    if let (Ok(name), Ok(value)) =
        ("user-agent".parse(), concat!("gochat/", env!("CARGO_PKG_VERSION")).parse())
    {
        api.headers.push((name, value));
    }
    build(&api, lease_ttl).map_err(|e| reason(&e))
}

/// HTTP/1.1, so that a connection that hangs costs the one request on it.
fn build(api: &Config, lease_ttl: Duration) -> kube::Result<Client> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(lease_ttl));
    // A watch is silent for a minute at a time; this finds a peer that is gone in three TTLs.
    tcp.set_keepalive(Some(lease_ttl));
    tcp.set_keepalive_interval(Some(lease_ttl));
    tcp.set_keepalive_retries(Some(2));
    let http =
        HttpClient::builder(TokioExecutor::new()).build(api.rustls_https_connector_with_connector(tcp)?);
    let service = ServiceBuilder::new()
        .layer(api.base_uri_layer())
        .option_layer(api.auth_layer()?)
        .layer(api.extra_headers_layer()?)
        .timeout(ANSWER)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, api.default_namespace.clone()))
}

/// An error with what is behind it, which says more: "ServiceError: client error" does not.
pub(super) fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let said = source.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = source.source();
    }
    text
}
