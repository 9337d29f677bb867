//! Trace context in and out of log records, as a W3C `traceparent` header.
//!
//! Almost every record belongs to no sampled trace. So nothing is written then: a record without the header costs
//! nothing to make, to store or to read, and starts a trace of its own where it is worked on.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";

/// Set once, when an exporter is installed.
static ENABLED: AtomicBool = AtomicBool::new(false);

pub(crate) fn enable() {
    ENABLED.store(true, Ordering::Relaxed);
}

/// The `traceparent` of the current span where it is sampled.
pub fn inject() -> Option<Bytes> {
    if !ENABLED.load(Ordering::Relaxed) {
        return None;
    }
    let context = Span::current().context();
    if !context.span().span_context().is_sampled() {
        return None;
    }
    let mut slot = Slot(None);
    TraceContextPropagator::new().inject_context(&context, &mut slot);
    slot.0.map(Bytes::from)
}

/// Makes `span` a part of the trace that wrote `traceparent`. A malformed one is ignored: it came from outside.
pub fn continue_from(span: &Span, traceparent: Option<&[u8]>) {
    let Some(text) = traceparent.and_then(|bytes| std::str::from_utf8(bytes).ok()) else { return };
    if !ENABLED.load(Ordering::Relaxed) {
        return;
    }
    let context = TraceContextPropagator::new().extract(&Slot(Some(text.to_owned())));
    if context.span().span_context().is_valid() {
        // The only failure is a span that no layer follows: a trace nobody looks at.
        let _ = span.set_parent(context);
    }
}

/// A carrier of one header.
struct Slot(Option<String>);

impl Injector for Slot {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            self.0 = Some(value);
        }
    }
}

impl Extractor for Slot {
    fn get(&self, key: &str) -> Option<&str> {
        if key == TRACEPARENT { self.0.as_deref() } else { None }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn with_sampler<T>(sampler: Sampler, run: impl FnOnce() -> T) -> T {
        enable();
        let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), run)
    }

    #[test]
    fn a_sampled_trace_goes_on_behind_the_log() {
        let header =
            with_sampler(Sampler::AlwaysOn, || tracing::info_span!("send").in_scope(inject)).unwrap();
        let continued = with_sampler(Sampler::AlwaysOn, || {
            let span = tracing::info_span!("deliver");
            continue_from(&span, Some(&header));
            span.in_scope(inject).unwrap()
        });
        let trace_of =
            |header: &Bytes| std::str::from_utf8(header).unwrap().split('-').nth(1).unwrap().to_owned();
        assert_eq!(trace_of(&header), trace_of(&continued));
    }

    #[test]
    fn what_is_not_sampled_writes_no_header() {
        assert_eq!(with_sampler(Sampler::AlwaysOff, || tracing::info_span!("send").in_scope(inject)), None);
    }

    #[test]
    fn a_malformed_header_starts_a_trace_of_its_own() {
        let header = with_sampler(Sampler::AlwaysOn, || {
            let span = tracing::info_span!("deliver");
            continue_from(&span, Some(b"00-nonsense"));
            continue_from(&span, Some(&[0xff, 0xfe]));
            continue_from(&span, None);
            span.in_scope(inject)
        });
        assert!(header.is_some());
    }
}
