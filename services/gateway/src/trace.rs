//! Spans of the message path: one where a frame enters the log, one where a record reaches its sockets. Only a sampled
//! message has them.

use bytes::Bytes;
use gochat_chassis::trace::{TARGET, begin, continue_from, inject};
use tracing::Span;

/// A client's message until the log has it.
pub(crate) fn send(conversation: u64) -> Span {
    begin(|| tracing::info_span!(target: TARGET, "gateway.send", otel.kind = "producer", conversation))
}

/// A record on its way to its sockets; a part of the trace that wrote it.
pub(crate) fn delivery(traceparent: &str, shard: u32) -> Span {
    let traceparent = Some(traceparent.as_bytes()).filter(|t| !t.is_empty());
    continue_from(
        traceparent,
        || tracing::info_span!(target: TARGET, "gateway.deliver", otel.kind = "consumer", shard),
    )
}

/// The header of a record that belongs to a span.
pub(crate) fn header(span: &Span) -> Option<(&'static str, Bytes)> {
    Some(("traceparent", inject(span)?))
}
