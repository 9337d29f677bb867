//! One WebSocket to a gateway. No retries, no state: that is the session's.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use gochat_proto::client::{ClientFrame, ServerFrame};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::codec::{CodecError, Encoding};

/// The default of 128 KiB is paid by every connection.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// What is written in one go at most before the socket has to take it.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// A page of sync has to fit.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Why a socket could not be opened, or is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The WebSocket failed: the address, the handshake, the network.
    #[error("websocket: {0}")]
    WebSocket(#[from] Box<WsError>),
    /// The server sent what is no frame.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The server closed it, or the network did.
    #[error("closed with code {0:?}")]
    Closed(Option<u16>),
}

impl SocketError {
    /// The close code, where there was one.
    pub fn close_code(&self) -> Option<u16> {
        match self {
            Self::Closed(code) => *code,
            _ => None,
        }
    }
}

impl From<WsError> for SocketError {
    fn from(error: WsError) -> Self {
        match error {
            WsError::ConnectionClosed | WsError::AlreadyClosed => Self::Closed(None),
            error => Self::WebSocket(Box::new(error)),
        }
    }
}

/// An open WebSocket with one subprotocol.
#[derive(Debug)]
pub struct Socket {
    ws: WebSocketStream<MaybeTlsStream<TcpStream>>,
    encoding: Encoding,
    unflushed: bool,
}

impl Socket {
    /// Opens `ws://…/ws` or `wss://…/ws`.
    pub async fn open(url: &str, encoding: Encoding) -> Result<Self, SocketError> {
        let mut request = url.into_client_request()?;
        let subprotocol = HeaderValue::from_static(encoding.subprotocol());
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let (ws, _) = connect_async_with_config(request, Some(config), true).await?;
        Ok(Self { ws, encoding, unflushed: false })
    }

    /// Puts a frame into the write buffer; [`Self::next`] writes it.
    pub fn queue(&mut self, frame: &ClientFrame) -> Result<(), SocketError> {
        let message = self.encoding.encode(frame)?;
        self.unflushed = true;
        // The sink takes it without being ready: the frame is buffered, and the session bounds how many there are.
        Ok(self.ws.start_send_unpin(message)?)
    }

    /// Writes what is queued and waits for the next frame; `None` where the server only showed that it is alive.
    /// Cancel safe.
    pub async fn next(&mut self) -> Result<Option<ServerFrame>, SocketError> {
        // Both at once: a server that doesn't read must not keep us from reading.
        let message = poll_fn(|cx| {
            if self.unflushed
                && let Poll::Ready(flushed) = self.ws.poll_flush_unpin(cx)
            {
                self.unflushed = false;
                if let Err(error) = flushed {
                    return Poll::Ready(Some(Err(error)));
                }
            }
            self.ws.poll_next_unpin(cx)
        })
        .await;
        match message {
            None => Err(SocketError::Closed(None)),
            Some(Ok(Message::Binary(bytes))) => Ok(Some(self.encoding.decode(&bytes)?)),
            Some(Ok(Message::Text(text))) => Ok(Some(self.encoding.decode(text.as_bytes())?)),
            Some(Ok(Message::Close(frame))) => Err(SocketError::Closed(frame.map(|f| f.code.into()))),
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(error.into()),
        }
    }

    /// Says good-bye, without waiting long for an answer.
    pub async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
        let _ = tokio::time::timeout(CLOSE_WITHIN, self.ws.close(Some(frame))).await;
    }
}
