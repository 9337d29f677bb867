//! Traces of messages: in and out of log records as a W3C `traceparent` header, and which messages have one.
//!
//! Almost every message belongs to no sampled trace, and a span costs more than a message does. So it is decided once,
//! at the edge and before there is a span, and a record without the header is not followed any more: it costs nothing
//! to make, to store or to read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Target of the spans on a message's way, and of the operator's looks. Only these are exported: libraries below make
/// spans for every frame they see, the exporter's own among them.
pub const TARGET: &str = "gochat::message";

const TRACEPARENT: &str = "traceparent";

/// Set once, when an exporter is installed.
static FOLLOWED: AtomicBool = AtomicBool::new(false);

/// Share of messages that begin a trace, as the bits of an `f64`. Set with the above.
static RATIO: AtomicU64 = AtomicU64::new(0);

pub(crate) fn enable(ratio: f64) {
    RATIO.store(ratio.to_bits(), Ordering::Relaxed);
    FOLLOWED.store(true, Ordering::Relaxed);
}

/// `span`, as a part of the one that it is made in, where that is of a trace; `Span::none()` elsewhere.
pub fn within(span: impl FnOnce() -> Span) -> Span {
    let traced = Span::current().metadata().is_some_and(|metadata| metadata.target() == TARGET);
    if traced { span() } else { Span::none() }
}

/// Begins a trace with `span`, for the configured share of calls; `Span::none()` for the others and where nothing is
/// exported.
pub fn begin(span: impl FnOnce() -> Span) -> Span {
    if chosen(f64::from_bits(RATIO.load(Ordering::Relaxed))) { span() } else { Span::none() }
}

fn chosen(ratio: f64) -> bool {
    ratio > 0.0 && rand::random_bool(ratio.min(1.0))
}

/// The `traceparent` of a span where it is sampled.
pub fn inject(span: &Span) -> Option<Bytes> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    if !context.span().span_context().is_sampled() {
        return None;
    }
    let mut slot = Slot(None);
    TraceContextPropagator::new().inject_context(&context, &mut slot);
    slot.0.map(Bytes::from)
}

/// Continues the sampled trace that wrote `traceparent` with `span`; `Span::none()` where there is none. A malformed
/// header is none: it came from outside.
pub fn continue_from(traceparent: Option<&[u8]>, span: impl FnOnce() -> Span) -> Span {
    let Some(text) = traceparent.filter(|_| FOLLOWED.load(Ordering::Relaxed)) else { return Span::none() };
    let Ok(text) = std::str::from_utf8(text) else { return Span::none() };
    let context = TraceContextPropagator::new().extract(&Slot(Some(text.to_owned())));
    if !context.span().span_context().is_sampled() {
        return Span::none();
    }
    let span = span();
    // The only failure is a span that no layer follows: a trace nobody looks at.
    let _ = span.set_parent(context);
    span
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
        FOLLOWED.store(true, Ordering::Relaxed);
        let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), run)
    }

    fn sampled() -> Bytes {
        with_sampler(Sampler::AlwaysOn, || inject(&tracing::info_span!("send"))).unwrap()
    }

    #[test]
    fn a_sampled_trace_goes_on_behind_the_log() {
        let header = sampled();
        let continued = with_sampler(Sampler::AlwaysOn, || {
            inject(&continue_from(Some(&header), || tracing::info_span!("deliver"))).unwrap()
        });
        let trace_of =
            |header: &Bytes| std::str::from_utf8(header).unwrap().split('-').nth(1).unwrap().to_owned();
        assert_eq!(trace_of(&header), trace_of(&continued));
    }

    #[test]
    fn what_is_not_sampled_writes_no_header() {
        assert_eq!(with_sampler(Sampler::AlwaysOff, || inject(&tracing::info_span!("send"))), None);
        assert_eq!(with_sampler(Sampler::AlwaysOn, || inject(&Span::none())), None);
    }

    #[test]
    fn what_is_not_sampled_makes_no_span() {
        let no_span = || -> Span { panic!("a span") };
        // Nothing in these tests sets a ratio: it is 0.
        assert!(begin(no_span).is_none());
        assert!(chosen(1.0) && !chosen(0.0));
        let kept = (0..10_000).filter(|_| chosen(0.5)).count();
        assert!((4_000..6_000).contains(&kept), "{kept}");
        let unsampled = String::from_utf8(sampled().to_vec()).unwrap().replace("-01", "-00");
        with_sampler(Sampler::AlwaysOn, || {
            for header in
                [None, Some(b"00-nonsense".as_slice()), Some(&[0xff, 0xfe]), Some(unsampled.as_bytes())]
            {
                assert!(continue_from(header, no_span).is_none());
            }
        });
    }
}
