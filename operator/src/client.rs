//! The connection to the API server, through which a deposed leader can't write.
//!
//! Every request that asks for a change passes here: it is refused when the [`Term`] is over, and dropped when it is over
//! before the answer came. What is built on the client (appliers, recorders, other people's crates) need not know.

use std::path::Path;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use gochat_chassis::trace;
use http::{Method, Request};
use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tower::{BoxError, Layer, Service};
use tracing::Instrument as _;

use crate::leader::Term;

/// A write that takes longer has failed; the next reconcile tries again.
const WRITE_WITHIN: Duration = Duration::from_secs(30);

/// Longer than the API server is silent on a watch: it sends a bookmark about once a minute.
const SILENT: Duration = Duration::from_secs(150);

/// Refused: this process is not the leader any more.
#[derive(Debug, thiserror::Error)]
#[error("not written: this operator does not lead (any more)")]
pub struct NotLeading;

/// The address and credentials: a file, or what the environment has (`KUBECONFIG`, a pod's ServiceAccount).
pub async fn config(kubeconfig: &Path) -> anyhow::Result<Config> {
    let mut config = if kubeconfig.as_os_str().is_empty() {
        Config::infer().await.context("no kubeconfig, and not in a pod")?
    } else {
        let file = Kubeconfig::read_from(kubeconfig).with_context(|| format!("{}", kubeconfig.display()))?;
        Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?
    };
    config.read_timeout = Some(SILENT);
    let agent = concat!("gochat-operator/", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
    Ok(config)
}

/// A client that writes only as long as the term lasts.
pub fn guarded(config: Config, term: Term) -> kube::Result<Client> {
    Ok(ClientBuilder::try_from(config)?.with_layer(&GuardLayer(term)).build())
}

struct GuardLayer(Term);

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, term: self.0.clone() }
    }
}

struct Guard<S> {
    inner: S,
    term: Term,
}

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = request.method();
        let span = trace::within(
            || tracing::info_span!(target: trace::TARGET, "request", %method, path = request.uri().path()),
        );
        if matches!(*method, Method::GET | Method::HEAD) {
            return self.inner.call(request).instrument(span).boxed();
        }
        let method = method.as_str().to_owned();
        let Some(left) = self.term.left() else {
            metrics::counter!("gochat_operator_writes_total", "method" => method, "outcome" => "refused")
                .increment(1);
            return std::future::ready(Err(NotLeading.into())).boxed();
        };
        let answer = tokio::time::timeout(left.min(WRITE_WITHIN), self.inner.call(request));
        async move {
            let answer = answer.await.unwrap_or_else(|elapsed| Err(elapsed.into()));
            let outcome = if answer.is_ok() { "sent" } else { "failed" };
            metrics::counter!("gochat_operator_writes_total", "method" => method, "outcome" => outcome)
                .increment(1);
            answer
        }
        .instrument(span)
        .boxed()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use http::Response;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn without_a_term_everything_is_read_and_nothing_is_written() {
        let (seen, mut requests) = mpsc::channel(8);
        let inner = tower::service_fn(move |request: Request<Body>| {
            seen.try_send(request.method().clone()).unwrap();
            async { Ok::<_, BoxError>(Response::new(Body::empty())) }
        });
        let over = crate::leader::tests::over();
        let mut guard = GuardLayer(over).layer(inner.clone());
        let request = |method: Method| Request::builder().method(method).body(Body::empty()).unwrap();
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let error = guard.call(request(method)).await.unwrap_err();
            assert!(error.is::<NotLeading>(), "{error}");
        }
        assert!(requests.try_recv().is_err(), "none was sent");
        guard.call(request(Method::GET)).await.unwrap();
        assert_eq!(requests.try_recv().unwrap(), Method::GET);
        let mut guard = GuardLayer(Term::unlimited()).layer(inner);
        guard.call(request(Method::PATCH)).await.unwrap();
        assert_eq!(requests.try_recv().unwrap(), Method::PATCH);
    }
}
