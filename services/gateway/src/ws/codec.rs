//! The two subprotocols: the same frames, as protobuf in binary messages or as proto3 JSON in text messages.

use std::cell::OnceCell;

use bytes::Bytes;
use gochat_proto::client::{ClientFrame, ServerFrame, client_frame};
use prost::Message as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::error_codes::{self, ErrorCode};

/// Bytes of a frame that are written at once; longer ones are fragmented (RFC 6455, 5.4).
const FRAGMENT: usize = 4 * 1024;

/// How a connection's frames travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Json,
    Proto,
}

impl Codec {
    const ALL: [Self; 2] = [Self::Proto, Self::Json];

    /// The name in `Sec-WebSocket-Protocol`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json => "gochat.v1+json",
            Self::Proto => "gochat.v1+proto",
        }
    }

    /// The first offered one that is known. A client that offers none (a person with a terminal) gets JSON; one
    /// that offers only unknown ones gets nothing.
    pub(crate) fn negotiate(offered: Option<&str>) -> Option<Self> {
        let Some(offered) = offered else { return Some(Self::Json) };
        offered.split(',').map(str::trim).find_map(|o| Self::ALL.into_iter().find(|c| c.name() == o))
    }

    pub(crate) fn encode(self, frame: &ServerFrame) -> Bytes {
        match self {
            Self::Proto => frame.encode_to_vec().into(),
            // Our own frames have no value that JSON can't hold.
            Self::Json => serde_json::to_vec(frame).unwrap_or_default().into(),
        }
    }

    /// One message of the socket; the error is what the client is told.
    pub(crate) fn decode(self, message: &Message) -> Result<client_frame::Frame, ErrorCode> {
        let frame = match (self, message) {
            (Self::Proto, Message::Binary(bytes)) => ClientFrame::decode(bytes.clone()).ok(),
            (Self::Json, Message::Text(text)) => serde_json::from_str::<ClientFrame>(text.as_str()).ok(),
            _ => None,
        };
        frame.ok_or(error_codes::BAD_FRAME)?.frame.ok_or(error_codes::UNKNOWN_FRAME)
    }

    /// An encoded frame as a message of the socket.
    pub(crate) fn message(self, encoded: Bytes) -> Message {
        Message::Frame(Frame::message(encoded, OpCode::Data(self.kind()), true))
    }

    /// Takes the next fragment of an encoded frame; most frames are one. The library's write buffer keeps the size of
    /// the largest thing ever written to it: a page of history must not stay in an idle connection's memory.
    pub(crate) fn fragment(self, rest: &mut Bytes, is_first: bool) -> Message {
        let part = rest.split_to(rest.len().min(FRAGMENT));
        let data = if is_first { self.kind() } else { Data::Continue };
        Message::Frame(Frame::message(part, OpCode::Data(data), rest.is_empty()))
    }

    /// Raw frames are of this kind, since text that we encoded needs no second UTF-8 check.
    const fn kind(self) -> Data {
        match self {
            Self::Json => Data::Text,
            Self::Proto => Data::Binary,
        }
    }
}

/// One event for many sockets: the bytes of the log for all protobuf ones, JSON made once and only if asked for.
pub(crate) struct Shared {
    proto: Bytes,
    json: OnceCell<Bytes>,
}

impl Shared {
    /// `proto` is an encoded `ServerFrame`; empty means "nothing".
    pub(crate) fn new(proto: Bytes) -> Self {
        Self { proto, json: OnceCell::new() }
    }

    /// A frame of our own.
    pub(crate) fn of(frame: &ServerFrame) -> Self {
        Self::new(frame.encode_to_vec().into())
    }

    /// The bytes for one socket; `None` where there is nothing to tell.
    pub(crate) fn for_codec(&self, codec: Codec) -> Option<Bytes> {
        if self.proto.is_empty() {
            return None;
        }
        let bytes = match codec {
            Codec::Proto => &self.proto,
            Codec::Json => self.json.get_or_init(|| match ServerFrame::decode(self.proto.clone()) {
                Ok(frame) => Codec::Json.encode(&frame),
                Err(_) => Bytes::new(),
            }),
        };
        (!bytes.is_empty()).then(|| bytes.clone())
    }
}

#[cfg(test)]
mod tests {
    use gochat_proto::client::{Ping, Pong, Send, server_frame};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_known_subprotocol_is_taken_and_none_means_json() {
        assert_eq!(Codec::negotiate(None), Some(Codec::Json));
        assert_eq!(Codec::negotiate(Some("x, gochat.v1+proto, gochat.v1+json")), Some(Codec::Proto));
        assert_eq!(Codec::negotiate(Some("gochat.v1+json,gochat.v1+proto")), Some(Codec::Json));
        assert_eq!(Codec::negotiate(Some("gochat.v9")), None);
    }

    #[test]
    fn what_is_no_frame_is_bad_and_what_is_no_known_frame_is_unknown() {
        for (codec, message, code) in [
            (Codec::Json, Message::text("{"), error_codes::BAD_FRAME),
            (Codec::Json, Message::binary(vec![]), error_codes::BAD_FRAME),
            (Codec::Json, Message::text(r#"{"dance":{}}"#), error_codes::UNKNOWN_FRAME),
            (Codec::Proto, Message::binary(vec![0xff]), error_codes::BAD_FRAME),
            (Codec::Proto, Message::text("{}"), error_codes::BAD_FRAME),
            (Codec::Proto, Message::binary(vec![]), error_codes::UNKNOWN_FRAME),
        ] {
            assert_eq!(codec.decode(&message), Err(code), "{codec:?} {message:?}");
        }
    }

    #[test]
    fn json_is_made_once_and_says_the_same() {
        let frame = ServerFrame { frame: Some(server_frame::Frame::Pong(Pong { nonce: 7 })) };
        let shared = Shared::of(&frame);
        let json = shared.for_codec(Codec::Json).unwrap();
        assert_eq!(json, Bytes::from_static(br#"{"pong":{"nonce":"7"}}"#));
        assert_eq!(json.as_ptr(), shared.for_codec(Codec::Json).unwrap().as_ptr());
        assert_eq!(Shared::new(Bytes::new()).for_codec(Codec::Json), None);
    }

    proptest! {
        #[test]
        fn both_codecs_carry_any_send(conversation in 1u64.., id in "[!-~]{1,36}", text in ".{0,200}") {
            let send = Send { conversation_id: conversation, client_msg_id: id, text };
            let frame = ClientFrame { frame: Some(client_frame::Frame::Send(send)) };
            let json = Message::text(serde_json::to_string(&frame).unwrap());
            let proto = Message::binary(frame.encode_to_vec());
            prop_assert_eq!(&Codec::Json.decode(&json).unwrap(), frame.frame.as_ref().unwrap());
            prop_assert_eq!(&Codec::Proto.decode(&proto).unwrap(), frame.frame.as_ref().unwrap());
        }

        #[test]
        fn no_bytes_make_the_decoders_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Codec::Proto.decode(&Message::binary(bytes.clone()));
            if let Ok(text) = String::from_utf8(bytes) {
                let _ = Codec::Json.decode(&Message::text(text));
            }
        }
    }

    #[test]
    fn a_long_frame_travels_in_fragments_that_make_it_up_again() {
        let whole = Bytes::from((0..10_000u32).flat_map(u32::to_be_bytes).collect::<Vec<_>>());
        let (mut rest, mut got, mut first) = (whole.clone(), Vec::new(), true);
        while !rest.is_empty() {
            let Message::Frame(frame) = Codec::Proto.fragment(&mut rest, first) else { panic!("no frame") };
            assert!(frame.payload().len() <= FRAGMENT);
            assert_eq!(frame.header().is_final, rest.is_empty());
            let kind = if first { Data::Binary } else { Data::Continue };
            assert_eq!(frame.header().opcode, OpCode::Data(kind));
            got.extend_from_slice(frame.payload());
            first = false;
        }
        assert_eq!(got, whole);
    }

    #[test]
    fn ping_round_trips() {
        let got = Codec::Json.decode(&Message::text(r#"{"ping":{"nonce":"3"}}"#)).unwrap();
        assert_eq!(got, client_frame::Frame::Ping(Ping { nonce: 3 }));
    }
}
