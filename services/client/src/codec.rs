//! Frames to WebSocket messages and back, in either subprotocol.

use bytes::Bytes;
use gochat_proto::client::{ClientFrame, ServerFrame};
use prost::Message as _;
use tokio_tungstenite::tungstenite::Message;

/// How frames travel; the same frames in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// `gochat.v1+proto`: binary messages.
    #[default]
    Proto,
    /// `gochat.v1+json`: text messages in the canonical proto3 JSON mapping.
    Json,
}

/// A message that is no frame.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Not protobuf, or not this one.
    #[error("frame is not a ServerFrame in protobuf: {0}")]
    Proto(#[from] prost::DecodeError),
    /// Not JSON, or not this one.
    #[error("frame is not a ServerFrame in JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Encoding {
    /// The WebSocket subprotocol.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Proto => "gochat.v1+proto",
            Self::Json => "gochat.v1+json",
        }
    }

    pub(crate) fn encode(self, frame: &ClientFrame) -> Result<Message, CodecError> {
        Ok(match self {
            Self::Proto => Message::Binary(Bytes::from(frame.encode_to_vec())),
            Self::Json => Message::Text(serde_json::to_string(frame)?.into()),
        })
    }

    pub(crate) fn decode(self, message: &[u8]) -> Result<ServerFrame, CodecError> {
        Ok(match self {
            Self::Proto => ServerFrame::decode(message)?,
            Self::Json => serde_json::from_slice(message)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use gochat_proto::client::{Send, Sync, client_frame::Frame, server_frame};

    use super::*;

    #[test]
    fn json_is_what_the_protocol_document_shows() {
        let frame = |frame| ClientFrame { frame: Some(frame) };
        let json = |frame| match Encoding::Json.encode(&frame).unwrap() {
            Message::Text(text) => text.to_string(),
            other => panic!("{other:?}"),
        };
        let send = Send {
            conversation_id: 7_234_512_345_678_901_248,
            client_msg_id: "a-1".into(),
            text: "hi".into(),
        };
        assert_eq!(
            json(frame(Frame::Send(send))),
            r#"{"send":{"conversationId":"7234512345678901248","clientMsgId":"a-1","text":"hi"}}"#
        );
        let sync = Sync { request_id: 3, conversation_id: 9, after_seq: Some(0), ..Sync::default() };
        assert_eq!(
            json(frame(Frame::Sync(sync))),
            r#"{"sync":{"requestId":3,"conversationId":"9","afterSeq":"0"}}"#
        );
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let frame = Encoding::Json.decode(br#"{"pong":{"nonce":"4","later":1}}"#).unwrap();
        let want = server_frame::Frame::Pong(gochat_proto::client::Pong { nonce: 4 });
        assert_eq!(frame.frame, Some(want));
    }
}
