//! One WebSocket that does what it is told: no reconnect, no dedupe, no manners.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures::{SinkExt, StreamExt};
use gochat_proto::client::{
    ClientFrame, Error, Hello, Pong, Send, ServerFrame, Welcome, client_frame::Frame as Up,
    server_frame::Frame as Down,
};
use prost::Message as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::User;

const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// How frames are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `gochat.v1+json`
    Json,
    /// `gochat.v1+proto`
    Proto,
}

/// A connection.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    encoding: Encoding,
}

impl Socket {
    /// Connects without a hello. `gateway` is its HTTP address.
    pub async fn connect(gateway: &str, encoding: Encoding) -> Result<Self> {
        Self::connect_on(TcpSocket::new_v4()?, gateway, encoding).await
    }

    /// Connects with the smallest receive buffer there is: who stops reading is felt after a few frames.
    pub async fn open_with_small_buffers(gateway: &str, user: &User) -> Result<Self> {
        let tcp = TcpSocket::new_v4()?;
        tcp.set_recv_buffer_size(1)?;
        let mut socket = Self::connect_on(tcp, gateway, Encoding::Proto).await?;
        socket.hello(&user.access_token).await?;
        socket.welcome().await?;
        Ok(socket)
    }

    async fn connect_on(tcp: TcpSocket, gateway: &str, encoding: Encoding) -> Result<Self> {
        let mut request = format!("{}/ws", gateway.replacen("http", "ws", 1)).into_client_request()?;
        let protocol = match encoding {
            Encoding::Json => "gochat.v1+json",
            Encoding::Proto => "gochat.v1+proto",
        };
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        let address = gateway.trim_start_matches("http://").parse().with_context(|| gateway.to_owned())?;
        let connection = tcp.connect(address).await.with_context(|| format!("connect {gateway}"))?;
        connection.set_nodelay(true)?;
        let (stream, _) =
            client_async(request, connection).await.with_context(|| format!("upgrade at {gateway}"))?;
        Ok(Self { stream, encoding })
    }

    /// Connects to the gateway as the user and is welcomed.
    pub async fn open(gateway: &str, user: &User, encoding: Encoding) -> Result<Self> {
        let mut socket = Self::connect(gateway, encoding).await?;
        socket.hello(&user.access_token).await?;
        socket.welcome().await?;
        Ok(socket)
    }

    /// Sends a hello.
    pub async fn hello(&mut self, access_token: &str) -> Result<()> {
        let hello =
            Hello { access_token: access_token.to_owned(), device: "e2e".to_owned(), ..Hello::default() };
        self.send(Up::Hello(hello)).await
    }

    /// Waits for the welcome.
    pub async fn welcome(&mut self) -> Result<Welcome> {
        self.until(|frame| match frame {
            Down::Welcome(welcome) => Some(welcome),
            _ => None,
        })
        .await
    }

    /// Sends a text.
    pub async fn say(&mut self, conversation: u64, client_msg_id: &str, text: &str) -> Result<()> {
        let (client_msg_id, text) = (client_msg_id.to_owned(), text.to_owned());
        self.send(Up::Send(Send { conversation_id: conversation, client_msg_id, text })).await
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: Up) -> Result<()> {
        let frame = ClientFrame { frame: Some(frame) };
        let message = match self.encoding {
            Encoding::Json => Message::text(serde_json::to_string(&frame)?),
            Encoding::Proto => Message::binary(frame.encode_to_vec()),
        };
        self.send_raw(message).await
    }

    /// Sends anything.
    pub async fn send_raw(&mut self, message: Message) -> Result<()> {
        Ok(self.stream.send(message).await?)
    }

    /// The next frame that `wanted` takes; the rest is passed over. Fails where the socket closes or nothing comes.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(Down) -> Option<T>) -> Result<T> {
        let search = async {
            loop {
                let frame = self.frame().await?.map_err(|code| anyhow!("closed with {code:?}"))?;
                if let Some(found) = wanted(frame) {
                    return Ok(found);
                }
            }
        };
        tokio::time::timeout(ANSWER_WITHIN, search).await.context("nothing of the kind came")?
    }

    /// The text of the next message of a conversation, with its seq.
    pub async fn message(&mut self, conversation: u64) -> Result<(u64, String)> {
        self.until(|frame| match frame {
            Down::Message(message) if message.conversation_id == conversation => {
                Some((message.seq, message.text))
            }
            _ => None,
        })
        .await
    }

    /// The seq that this client's own message got.
    pub async fn committed(&mut self, client_msg_id: &str) -> Result<u64> {
        let answer = self.until(|frame| match frame {
            Down::Committed(committed) if committed.client_msg_id == client_msg_id => Some(Ok(committed.seq)),
            Down::Error(error) if error.client_msg_id == client_msg_id => Some(Err(error)),
            _ => None,
        });
        answer.await?.map_err(|error| anyhow!("refused: {error:?}"))
    }

    /// Sends a text, again whenever it is refused for the rate; the seq that it got.
    pub async fn say_within_the_rate(
        &mut self,
        conversation: u64,
        client_msg_id: &str,
        text: &str,
    ) -> Result<u64> {
        loop {
            self.say(conversation, client_msg_id, text).await?;
            let answer = self.until(|frame| match frame {
                Down::Committed(committed) if committed.client_msg_id == client_msg_id => {
                    Some(Ok(committed.seq))
                }
                Down::Error(error) if error.client_msg_id == client_msg_id => Some(Err(error)),
                _ => None,
            });
            match answer.await? {
                Ok(seq) => return Ok(seq),
                Err(error) if error.code == "rate_limited" => {
                    tokio::time::sleep(Duration::from_millis(error.retry_after_ms.into())).await;
                }
                Err(error) => bail!("refused: {error:?}"),
            }
        }
    }

    /// The next error frame.
    pub async fn error(&mut self) -> Result<Error> {
        self.until(|frame| match frame {
            Down::Error(error) => Some(error),
            _ => None,
        })
        .await
    }

    /// Waits for the close; its code, and the last error frame before it.
    pub async fn closed(&mut self) -> Result<(u16, Option<Error>)> {
        let search = async {
            let mut last = None;
            loop {
                match self.frame().await? {
                    Ok(Down::Error(error)) => last = Some(error),
                    Ok(_) => {}
                    Err(code) => return Ok((code.context("closed without a code")?, last)),
                }
            }
        };
        tokio::time::timeout(ANSWER_WITHIN, search).await.context("it was not closed")?
    }

    /// The next frame other than a ping, which it answers; or the code of the close.
    async fn frame(&mut self) -> Result<Result<Down, Option<u16>>> {
        loop {
            let Some(message) = self.stream.next().await else {
                return Ok(Err(None));
            };
            let frame = match message? {
                Message::Text(text) => {
                    serde_json::from_str::<ServerFrame>(&text).with_context(|| text.to_string())?
                }
                Message::Binary(bytes) => ServerFrame::decode(bytes)?,
                Message::Close(close) => return Ok(Err(close.map(|close| close.code.into()))),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            match frame.frame {
                Some(Down::Ping(ping)) => self.send(Up::Pong(Pong { nonce: ping.nonce })).await?,
                Some(frame) => return Ok(Ok(frame)),
                None => bail!("a frame of a kind that this protocol does not have"),
            }
        }
    }
}
