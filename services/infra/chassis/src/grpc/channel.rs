//! A channel over a watched list of addresses.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::watch;
use tonic::transport::channel::Change;
use tonic::transport::{Channel, Endpoint};

/// Connects here at once fail: what calls get while no member is known. Without it they would wait in the balancer,
/// where no deadline reaches them.
const NOBODY: &str = "http://127.0.0.1:0";

/// A channel balanced over `addresses` (`http://host:port`) by the power of two choices; follows the watch until all
/// clones of the channel or the sender of the watch are gone (then the last addresses stay).
///
/// `timeout` bounds each call. While there is no address, calls fail as `Unavailable` at once.
/// A malformed address is logged and left out. Must be called on a tokio runtime.
pub fn balanced(mut addresses: watch::Receiver<Vec<String>>, timeout: Duration) -> Channel {
    let (channel, changes) = Channel::balance_channel::<String>(64);
    tokio::spawn(async move {
        let mut current = HashSet::new();
        loop {
            let mut wanted: HashSet<String> = addresses.borrow_and_update().iter().cloned().collect();
            if wanted.is_empty() {
                wanted.insert(NOBODY.to_owned());
            }
            // What is new comes first: a balancer that is empty for a moment would make calls wait.
            for address in wanted.difference(&current) {
                match endpoint(address, timeout) {
                    Ok(endpoint) => {
                        if changes.send(Change::Insert(address.clone(), endpoint)).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => tracing::error!(address, %error, "not a gRPC address"),
                }
            }
            for address in current.difference(&wanted) {
                if changes.send(Change::Remove(String::clone(address))).await.is_err() {
                    return;
                }
            }
            current = wanted;
            tokio::select! {
                changed = addresses.changed() => if changed.is_err() {
                    // Dropping `changes` would end the balancer's discovery: it keeps what it has either way, but
                    // says so as an error. Hold it for as long as the channel lives.
                    changes.closed().await;
                    return;
                },
                () = changes.closed() => return,
            }
        }
    });
    channel
}

fn endpoint(address: &str, timeout: Duration) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(address.to_owned())?
        .timeout(timeout)
        .connect_timeout(Duration::from_secs(1).min(timeout))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(2))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::net::TcpListener;
    use tonic::service::Routes;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    use crate::Shutdown;
    use crate::grpc::{describe, serve};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    async fn server() -> (String, Shutdown, tokio::task::JoinHandle<()>) {
        describe(tonic_health::pb::FILE_DESCRIPTOR_SET);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let serving = serve(listener, Routes::default(), shutdown.clone());
        let handle = tokio::spawn(async move { serving.await.unwrap() });
        (format!("http://{address}"), shutdown, handle)
    }

    async fn call(channel: &Channel) -> Result<i32, tonic::Code> {
        let request = HealthCheckRequest { service: String::new() };
        let answer = tokio::time::timeout(TIMEOUT, HealthClient::new(channel.clone()).check(request)).await;
        answer.expect("a call waits for ever").map(|r| r.into_inner().status).map_err(|s| s.code())
    }

    /// Changes reach the balancer by themselves: retry until it has them.
    async fn until(channel: &Channel, wanted: impl Fn(&Result<i32, tonic::Code>) -> bool) {
        tokio::time::timeout(TIMEOUT, async {
            while !wanted(&call(channel).await) {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn the_channel_follows_the_watch() {
        let (tell, addresses) = watch::channel(Vec::new());
        let channel = balanced(addresses, TIMEOUT);
        assert_eq!(
            call(&channel).await,
            Err(tonic::Code::Unavailable),
            "nobody is there, and that is said at once"
        );

        let (first, stop_first, first_ended) = server().await;
        tell.send(vec![first]).unwrap();
        until(&channel, Result::is_ok).await;

        let (second, ..) = server().await;
        tell.send(vec![second]).unwrap();
        stop_first.begin();
        first_ended.await.unwrap();
        until(&channel, Result::is_ok).await;
        for _ in 0..20 {
            assert!(call(&channel).await.is_ok(), "the first server is gone and not asked any more");
        }

        tell.send(Vec::new()).unwrap();
        until(&channel, |r| *r == Err(tonic::Code::Unavailable)).await;
    }

    #[tokio::test]
    async fn a_call_reaches_a_living_member_while_another_is_dead() {
        let (living, ..) = server().await;
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (_tell, addresses) =
            watch::channel(vec![living, format!("http://{dead}"), "not an address".to_owned()]);
        let channel = balanced(addresses, TIMEOUT);
        until(&channel, Result::is_ok).await;
    }

    #[tokio::test]
    async fn a_server_tells_what_it_serves() {
        let (address, ..) = server().await;
        let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
        let list = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut answers = ServerReflectionClient::new(channel)
            .server_reflection_info(futures::stream::iter([list]))
            .await
            .unwrap()
            .into_inner();
        let Some(MessageResponse::ListServicesResponse(list)) =
            answers.message().await.unwrap().unwrap().message_response
        else {
            panic!("another answer");
        };
        assert!(list.service.iter().any(|s| s.name == "grpc.health.v1.Health"), "{list:?}");
    }
}
