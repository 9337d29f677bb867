//! `ops.v1` of one pod, through a port-forward of the API server: with the user's own rights, and from anywhere.

use anyhow::Context as _;
use gochat_operator::names;
use gochat_proto::ops::operations_client::OperationsClient;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::Api;
use tokio::sync::Mutex;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::session::explain;

/// Connects to a pod.
pub(crate) async fn connect(api: &Api<Pod>, pod: &Pod) -> anyhow::Result<OperationsClient<Channel>> {
    let name = pod.name_any();
    let port = port(pod).with_context(|| format!("{name} has no port named {}", names::GRPC))?;
    let mut forwarder = api.portforward(&name, &[port]).await.map_err(explain)?;
    let stream = forwarder.take_stream(port).context("the port-forward gave no stream")?;
    // One connection only: when it breaks, the call fails.
    let once = Mutex::new(Some((stream, forwarder)));
    let once = std::sync::Arc::new(once);
    let connector = tower::service_fn(move |_: Uri| {
        let once = std::sync::Arc::clone(&once);
        async move {
            let taken = once.lock().await.take();
            let (stream, forwarder) =
                taken.ok_or_else(|| std::io::Error::other("the port-forward has ended"))?;
            tokio::spawn(async move { forwarder.join().await });
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    });
    let channel = Endpoint::from_static("http://pod").connect_with_connector(connector).await;
    Ok(OperationsClient::new(channel.with_context(|| format!("{name} does not answer"))?))
}

fn port(pod: &Pod) -> Option<u16> {
    let ports = pod
        .spec
        .iter()
        .flat_map(|spec| &spec.containers)
        .flat_map(|container| container.ports.iter().flatten());
    let mut named = ports.filter(|port| port.name.as_deref() == Some(names::GRPC));
    u16::try_from(named.next()?.container_port).ok()
}
