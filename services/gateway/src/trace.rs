//! Spans of the message path: one where a frame enters the log, one where a record reaches its sockets. They exist
//! only where something follows them, since a message costs less than a span.

use bytes::Bytes;
use tracing::Span;

/// A client's message on its way into the log.
pub(crate) fn send(conversation: u64) -> Span {
    tracing::info_span!(target: "gochat::message", "gateway.send", conversation)
}

/// A record on its way to its sockets; a part of the trace that wrote it.
pub(crate) fn delivery(traceparent: Option<&[u8]>) -> Span {
    let Some(traceparent) = traceparent.filter(|t| !t.is_empty()) else { return Span::none() };
    let span = tracing::info_span!(target: "gochat::message", "gateway.deliver");
    gochat_chassis::trace::continue_from(&span, Some(traceparent));
    span
}

/// The header of a record, where the current span is sampled.
pub(crate) fn header() -> Option<(&'static str, Bytes)> {
    Some(("traceparent", gochat_chassis::trace::inject()?))
}
