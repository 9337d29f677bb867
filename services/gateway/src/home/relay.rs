//! The streams of the edges, from this process and from others.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;
use futures::{Stream, StreamExt as _, stream};
use gochat_proto::gateway::relay_server::Relay;
use gochat_proto::gateway::{EdgeMessage, HomeMessage, edge_message, home_message};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::Home;
use super::table::EdgeIx;

/// One edge's stream.
pub(super) struct EdgeLink {
    pub(super) index: EdgeIx,
    /// Its member id, from its hello.
    name: OnceLock<String>,
    /// In this process.
    pub(super) local: bool,
    queue: Mutex<Queue>,
    readable: AtomicWaker,
    space: Notify,
    bound: usize,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<HomeMessage>,
    bytes: usize,
    closed: bool,
}

impl EdgeLink {
    fn new(index: EdgeIx, local: bool, bound: usize) -> Self {
        Self {
            index,
            name: OnceLock::new(),
            local,
            queue: Mutex::default(),
            readable: AtomicWaker::new(),
            space: Notify::new(),
            bound,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.name.get().map_or("", String::as_str)
    }

    fn is_closed(&self) -> bool {
        self.queue.lock().closed
    }

    /// Queues a message; past the bound it is given back to be tried again, or not. To a closed stream it goes nowhere:
    /// the edge attaches anew and syncs.
    pub(super) fn try_push(&self, message: HomeMessage) -> Result<(), Box<HomeMessage>> {
        let bytes = size(&message);
        let mut queue = self.queue.lock();
        if queue.closed {
            return Ok(());
        }
        if queue.bytes > 0 && queue.bytes + bytes > self.bound {
            return Err(Box::new(message));
        }
        queue.bytes += bytes;
        queue.messages.push_back(message);
        drop(queue);
        self.readable.wake();
        Ok(())
    }

    /// The same, waiting for space up to `patience`; then the stream is closed.
    pub(super) async fn push(&self, mut message: HomeMessage, patience: Duration) {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let space = self.space.notified();
            message = match self.try_push(message) {
                Ok(()) => return,
                Err(message) => *message,
            };
            if tokio::time::timeout_at(deadline, space).await.is_err() {
                tracing::warn!(edge = self.name(), "relay queue stays full, the stream is closed");
                return self.close();
            }
        }
    }

    /// Queues what must not wait; an edge that is too slow even for that starts anew.
    pub(super) fn answer(&self, message: HomeMessage) {
        if self.try_push(message).is_err() {
            tracing::warn!(edge = self.name(), "relay queue is full, the stream is closed");
            self.close();
        }
    }

    pub(super) fn close(&self) {
        let mut queue = self.queue.lock();
        *queue = Queue { closed: true, ..Queue::default() };
        drop(queue);
        self.readable.wake();
        self.space.notify_waiters();
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Option<HomeMessage>> {
        self.readable.register(context.waker());
        let mut queue = self.queue.lock();
        match queue.messages.pop_front() {
            Some(message) => {
                queue.bytes -= size(&message);
                drop(queue);
                self.space.notify_waiters();
                Poll::Ready(Some(message))
            }
            None if queue.closed => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// Bytes that a message keeps alive, about.
fn size(message: &HomeMessage) -> usize {
    let payload = match &message.message {
        Some(home_message::Message::Deliver(deliver)) => deliver
            .record
            .as_ref()
            .map_or(0, |r| r.frame.len() + r.origin_frame.len() + r.recipients.len() * size_of::<u64>()),
        _ => 0,
    };
    payload + 64
}

/// The edge's end of the queue; dropping it ends the edge.
struct Outgoing {
    home: Arc<Home>,
    link: Arc<EdgeLink>,
}

impl Stream for Outgoing {
    type Item = HomeMessage;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<HomeMessage>> {
        self.link.poll(context)
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.link.close();
        self.home.lost(&self.link);
    }
}

impl Home {
    /// Serves an edge: takes what it says until it says no more, and returns what it gets.
    pub(crate) fn open(
        self: &Arc<Self>,
        incoming: impl Stream<Item = Result<EdgeMessage, Status>> + Send + Unpin + 'static,
        local: bool,
    ) -> stream::BoxStream<'static, HomeMessage> {
        let link = {
            let mut edges = self.edges.write();
            edges.next += 1;
            Arc::new(EdgeLink::new(edges.next, local, self.relay_bytes))
        };
        tokio::spawn(listen(Arc::downgrade(self), Arc::clone(&link), incoming));
        Outgoing { home: Arc::clone(self), link }.boxed()
    }

    /// An edge said who it is. A stream that it had before is broken, whether we noticed or not.
    fn admit(&self, link: &Arc<EdgeLink>, name: String) {
        let mut edges = self.edges.write();
        let before: Vec<_> = edges
            .by_index
            .values()
            .filter(|other| other.name() == name && other.index != link.index)
            .cloned()
            .collect();
        tracing::debug!(edge = %name, "relay accepted");
        let _ = link.name.set(name);
        edges.by_index.insert(link.index, Arc::clone(link));
        drop(edges);
        for old in before {
            old.close();
            self.lost(&old);
        }
    }

    /// Ends all streams: the process stops.
    pub(crate) fn close(&self) {
        for link in self.edges.read().by_index.values() {
            link.close();
        }
    }
}

async fn listen(
    home: Weak<Home>,
    link: Arc<EdgeLink>,
    mut incoming: impl Stream<Item = Result<EdgeMessage, Status>> + Unpin,
) {
    while let Some(Ok(message)) = incoming.next().await {
        let Some(home) = home.upgrade() else { return };
        match (message.message, link.name.get()) {
            _ if link.is_closed() => break,
            (Some(edge_message::Message::Hello(hello)), None) => home.admit(&link, hello.edge),
            (Some(message), Some(_)) => home.heard(&link, message),
            // Before the hello, or what only a newer edge says.
            _ => {}
        }
    }
    link.close();
    if let Some(home) = home.upgrade() {
        home.lost(&link);
    }
}

/// The relay for other processes.
pub(crate) struct RelayService(pub(crate) Arc<Home>);

#[async_trait]
impl Relay for RelayService {
    type OpenStream = stream::BoxStream<'static, Result<HomeMessage, Status>>;

    async fn open(
        &self,
        request: Request<Streaming<EdgeMessage>>,
    ) -> Result<Response<Self::OpenStream>, Status> {
        let outgoing = self.0.open(request.into_inner(), false);
        Ok(Response::new(outgoing.map(Ok).boxed()))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gochat_proto::events::Downstream;
    use gochat_proto::gateway::Deliver;

    use super::*;

    fn deliver(bytes: usize) -> HomeMessage {
        let record = Downstream { frame: Bytes::from(vec![0; bytes]), ..Downstream::default() };
        let deliver = Deliver { record: Some(record), ..Deliver::default() };
        HomeMessage { message: Some(home_message::Message::Deliver(deliver)) }
    }

    #[tokio::test(start_paused = true)]
    async fn an_edge_that_does_not_read_is_closed_and_holds_up_its_home_for_the_patience_only() {
        let link = EdgeLink::new(1, false, 1_000);
        let began = tokio::time::Instant::now();
        link.push(deliver(900), Duration::from_millis(500)).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        link.push(deliver(900), Duration::from_millis(500)).await;
        assert_eq!(began.elapsed().as_millis(), 500);
        assert!(link.is_closed());
        link.push(deliver(900), Duration::from_millis(500)).await;
        assert_eq!(began.elapsed().as_millis(), 500, "what is closed costs nothing more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_takes_more_when_the_edge_reads() {
        let link = Arc::new(EdgeLink::new(1, false, 1_000));
        link.push(deliver(900), Duration::ZERO).await;
        let pushing = tokio::spawn({
            let link = Arc::clone(&link);
            async move { link.push(deliver(900), Duration::from_secs(9)).await }
        });
        for _ in 0..2 {
            let got = futures::future::poll_fn(|context| link.poll(context)).await;
            assert_eq!(got, Some(deliver(900)));
        }
        pushing.await.unwrap();
        assert!(!link.is_closed());
    }
}
