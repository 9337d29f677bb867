//! A welcomed connection: one task, which reads, waits and writes in turn.
//!
//! Written as a state machine, not as an `async fn`: an idle connection is then no larger than these fields, writing
//! never stops reading, and everything that was queued goes out in one system call.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{Sink, Stream, StreamExt as _};
use gochat_proto::client::ServerFrame;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as WsError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes as WsBytes, Message};

use super::inbound::{Done, Inbound, Outcome};
use super::outbox::Next;
use crate::edge::{Admission, Connection};
use crate::error_codes::{self, CloseCode};
use crate::gateway::Gateway;
use crate::refusal::Refusal;

/// How long a client has to answer a close frame, or to read what was before it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Frames that one connection reads before others get their turn.
const READS: usize = 64;

/// The task of a connection.
pub(crate) struct Session<S> {
    socket: WebSocketStream<S>,
    client: Client,
    waiting: Option<Box<FuturesUnordered<BoxFuture<'static, Done>>>>,
    closing: Option<Pin<Box<Sleep>>>,
    close_sent: bool,
    /// Of the frame that is being written.
    rest: WsBytes,
    /// What the client says can't be read any more: it is thrown away, so that it gets to read what we said last.
    deaf: bool,
}

/// A client as the session knows it; leaves the edge when dropped.
pub(crate) struct Client {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) inbound: Inbound,
    pub(crate) _admission: Admission,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.inbound.unwatch_all(&self.gateway, &self.connection);
        self.gateway.edge.detach(&self.connection);
    }
}

impl Client {
    fn answer(&self, frame: &ServerFrame) {
        self.connection.outbox.answer_own(self.connection.codec.encode(frame));
    }

    fn close(&self, frame: &ServerFrame, code: CloseCode) {
        self.connection.outbox.close_with(self.connection.codec.encode(frame), code);
    }
}

/// The connection is over.
struct Over;

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(crate) fn new(socket: WebSocketStream<S>, client: Client) -> Self {
        Self {
            socket,
            client,
            waiting: None,
            closing: None,
            close_sent: false,
            rest: WsBytes::new(),
            deaf: false,
        }
    }

    /// Reads what is there. Whether there may be more at once.
    fn read(&mut self, context: &mut Context<'_>) -> Result<bool, Over> {
        if self.deaf {
            return if discard(self.socket.get_mut(), context).is_ready() { Err(Over) } else { Ok(false) };
        }
        for _ in 0..READS {
            // A client that does not read its answers may not ask for more.
            if self.client.connection.outbox.is_over(self.client.gateway.edge.limits.outbox.bytes) {
                return Ok(false);
            }
            match Pin::new(&mut self.socket).poll_next(context) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Some(Ok(message))) => self.take(&message),
                Poll::Ready(Some(Err(failure))) => {
                    self.failed(&failure)?;
                    return Ok(true);
                }
                Poll::Ready(None) => return Err(Over),
            }
        }
        Ok(true)
    }

    fn take(&mut self, message: &Message) {
        let Client { gateway, connection, inbound, .. } = &mut self.client;
        connection.heard(gateway.clock().now());
        if self.closing.is_some()
            || matches!(message, Message::Ping(_) | Message::Pong(_) | Message::Close(_))
        {
            return;
        }
        gateway.metrics.frames_in.increment(1);
        let outcome = match connection.codec.decode(message) {
            Ok(frame) => inbound.take(gateway, connection, frame),
            Err(code) => Inbound::undecodable(gateway, code),
        };
        match outcome {
            Outcome::Nothing => {}
            Outcome::Answer(frame) => self.client.answer(&frame),
            Outcome::Close(frame, code) => self.client.close(&frame, code),
            Outcome::Later(wait) => self.waiting.get_or_insert_default().push(wait),
        }
    }

    /// What the library refused to read.
    fn failed(&mut self, failure: &WsError) -> Result<(), Over> {
        let (code, close) = match failure {
            WsError::Capacity(CapacityError::MessageTooLong { .. }) => {
                (error_codes::FRAME_TOO_LARGE, CloseCode::TooBig)
            }
            WsError::Protocol(_) | WsError::Utf8(_) if self.closing.is_none() => {
                (error_codes::BAD_FRAME, CloseCode::BadFrame)
            }
            _ => return Err(Over),
        };
        self.client.gateway.metrics.refused.increment(1);
        self.client.close(&Refusal::from(code).into_frame(), close);
        self.deaf = true;
        Ok(())
    }

    /// Answers what was waited for.
    fn wait(&mut self, context: &mut Context<'_>) {
        let Some(waiting) = &mut self.waiting else { return };
        while let Poll::Ready(Some(done)) = waiting.poll_next_unpin(context) {
            if let Some(frame) = self.client.inbound.done(done) {
                self.client.answer(&frame);
            }
        }
    }

    /// Writes what is queued, as far as the client takes it.
    fn write(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, Over> {
        let (mut frames, mut bytes) = (0, 0);
        loop {
            match Pin::new(&mut self.socket).poll_ready(context) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => return Err(Over),
                Poll::Ready(Ok(())) => {}
            }
            let Client { connection, .. } = &self.client;
            let message = if self.rest.is_empty() {
                match connection.outbox.pop() {
                    Some(Next::Frame(frame)) => {
                        frames += 1;
                        bytes += frame.len() as u64;
                        self.rest = frame;
                        connection.codec.fragment(&mut self.rest, true)
                    }
                    Some(Next::Ping) => Message::Ping(WsBytes::new()),
                    Some(Next::Close(code)) if !self.close_sent => {
                        self.close_sent = true;
                        Message::Close(Some(CloseFrame {
                            code: (code as u16).into(),
                            reason: code.reason().into(),
                        }))
                    }
                    Some(Next::Close(_)) | None => break,
                }
            } else {
                connection.codec.fragment(&mut self.rest, false)
            };
            if Pin::new(&mut self.socket).start_send(message).is_err() {
                return Err(Over);
            }
        }
        if frames > 0 {
            self.client.gateway.metrics.frames_out.increment(frames);
            self.client.gateway.metrics.bytes_out.increment(bytes);
        }
        match Pin::new(&mut self.socket).poll_flush(context) {
            Poll::Ready(Err(_)) => Err(Over),
            Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn step(&mut self, context: &mut Context<'_>) -> Result<(), Over> {
        self.client.connection.outbox.register(context.waker());
        let more = self.read(context)?;
        self.wait(context);
        let held_back = self.client.connection.outbox.is_over(self.client.gateway.edge.limits.outbox.bytes);
        let written = self.write(context)?;
        if self.deaf && self.close_sent && written.is_ready() {
            // The client's close can't be read: it is told by the end of the stream that it may go.
            let _ = Pin::new(self.socket.get_mut()).poll_shutdown(context);
        }
        if self.closing.is_none()
            && let Some(code) = self.client.connection.outbox.closing()
        {
            // The dead are not waited for.
            let wait = if code == CloseCode::HeartbeatTimeout { Duration::ZERO } else { CLOSE_TIMEOUT };
            self.closing = Some(Box::pin(tokio::time::sleep(wait)));
        }
        if let Some(closing) = &mut self.closing
            && closing.as_mut().poll(context).is_ready()
        {
            return Err(Over);
        }
        if more
            || held_back
                && !self.client.connection.outbox.is_over(self.client.gateway.edge.limits.outbox.bytes)
        {
            context.waker().wake_by_ref();
        }
        Ok(())
    }
}

/// Reads and forgets; ready at the end of the stream. Without this, closing with unread bytes resets the connection,
/// and the reset takes with it what the client has not read yet.
pub(super) fn discard<S: AsyncRead + Unpin>(stream: &mut S, context: &mut Context<'_>) -> Poll<()> {
    let mut waste = [0; 1024];
    for _ in 0..READS {
        let mut buffer = ReadBuf::new(&mut waste);
        match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
            Poll::Ready(_) => return Poll::Ready(()),
        }
    }
    context.waker().wake_by_ref();
    Poll::Pending
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Session<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.step(context).is_ok() {
            return Poll::Pending;
        }
        self.client.gateway.metrics.closed(self.client.connection.outbox.closing());
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        // Of the 6 KiB that one may cost in all; a change that doubles it should be one that is meant.
        let session = size_of::<Session<TcpStream>>();
        assert!(session <= 1024, "{session} bytes");
        let connection = size_of::<Connection>();
        assert!(connection <= 192, "{connection} bytes");
    }
}
