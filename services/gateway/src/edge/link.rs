//! The stream to one home: gRPC to another process, or a queue to the home in this one. Reconnects for ever, with
//! jitter; what was queued for a stream that broke is dropped, since a new stream starts with everything.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use gochat_chassis::Shutdown;
use gochat_coord::Member;
use gochat_proto::gateway::relay_client::RelayClient;
use gochat_proto::gateway::{EdgeHello, EdgeMessage, HomeMessage, edge_message::Message};
use parking_lot::Mutex;
use rand::RngExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use super::Edge;
use crate::home::MAX_RELAY_MESSAGE;

/// Messages for a home that wait for its stream; past it the stream is closed and opened anew.
const QUEUE: usize = 16_384;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const BACKOFF: std::ops::Range<u64> = 50..500;

/// An edge's side of the relay to one home.
pub(crate) struct HomeLink {
    pub(crate) member: Member,
    tx: Mutex<Option<mpsc::Sender<EdgeMessage>>>,
    stop: CancellationToken,
}

type Incoming = BoxStream<'static, HomeMessage>;

impl HomeLink {
    pub(super) fn start(edge: &Arc<Edge>, member: Member, shutdown: &Shutdown) -> Arc<Self> {
        let link = Arc::new(Self { member, tx: Mutex::default(), stop: CancellationToken::new() });
        shutdown.spawn("relay-link", run(Arc::downgrade(edge), Arc::clone(&link), shutdown.clone()));
        link
    }

    /// Whether it is the way to this member; a member that came back elsewhere is another one.
    pub(super) fn leads_to(&self, member: &Member) -> bool {
        self.member.id == member.id && self.member.address == member.address
    }

    /// Queues a message where the stream is open.
    pub(super) fn send(&self, message: EdgeMessage) {
        let mut tx = self.tx.lock();
        if tx.as_ref().is_some_and(|tx| tx.try_send(message).is_err()) {
            *tx = None;
        }
    }

    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    #[cfg(test)]
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }
}

/// `shutdown` begins when the sockets are gone.
async fn run(edge: Weak<Edge>, link: Arc<HomeLink>, shutdown: Shutdown) {
    loop {
        let worked = tokio::select! {
            worked = serve(&edge, &link) => worked,
            () = link.stop.cancelled() => None,
            () = shutdown.wait() => None,
        };
        *link.tx.lock() = None;
        let Some(edge) = edge.upgrade() else { return };
        edge.link_broken(&link);
        if worked.is_none() {
            return;
        }
        drop(edge);
        let pause = Duration::from_millis(rand::rng().random_range(BACKOFF));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = link.stop.cancelled() => return,
            () = shutdown.wait() => return,
        }
    }
}

/// One stream, to its end. `None` where there is no edge any more.
async fn serve(edge: &Weak<Edge>, link: &Arc<HomeLink>) -> Option<()> {
    let (tx, rx) = mpsc::channel(QUEUE);
    let this = edge.upgrade()?;
    let hello = Message::Hello(EdgeHello { edge: this.member.to_string() });
    let _ = tx.try_send(EdgeMessage { message: Some(hello) });
    let outgoing = ReceiverStream::new(rx);
    let opened = if link.member.id == this.member {
        Ok(this.home.open(outgoing.map(Ok), true))
    } else {
        open_remote(&link.member, outgoing).await
    };
    let mut incoming = match opened {
        Ok(incoming) => incoming,
        Err(error) => {
            tracing::debug!(home = %link.member.id, %error, "relay can't be opened");
            return Some(());
        }
    };
    *link.tx.lock() = Some(tx);
    this.link_opened(link, this.home.epoch());
    tracing::debug!(home = %link.member.id, "relay is open");
    drop(this);
    while let Some(message) = incoming.next().await {
        edge.upgrade()?.heard(link, message);
    }
    tracing::debug!(home = %link.member.id, "relay is closed");
    Some(())
}

async fn open_remote(
    home: &Member,
    outgoing: ReceiverStream<EdgeMessage>,
) -> Result<Incoming, anyhow::Error> {
    let channel = Endpoint::from_shared(home.address.clone())?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        // A home whose machine vanished is noticed by this, not by TCP.
        .http2_keep_alive_interval(Duration::from_secs(1))
        .keep_alive_timeout(Duration::from_secs(1))
        .keep_alive_while_idle(true)
        .connect()
        .await?;
    let mut client = RelayClient::new(channel).max_decoding_message_size(MAX_RELAY_MESSAGE);
    let answer = tokio::time::timeout(CONNECT_TIMEOUT, client.open(outgoing)).await??;
    let home = home.id.clone();
    Ok(answer
        .into_inner()
        // The first error is the last item.
        .filter_map(move |message| {
            let message = message.inspect_err(|error| tracing::debug!(%home, %error, "relay broke"));
            std::future::ready(message.ok())
        })
        .boxed())
}
