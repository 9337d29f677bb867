//! Logs, traces and metrics of a process: installed once, at its start.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Bounds of all histograms named `…_seconds`: a chat's latencies, 0.5 ms to 10 s.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Bounds of all histograms named `…_bytes`.
const BYTES: &[f64] = &[64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0];

/// What is logged, traced and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Level, or levels by module: `info`, `info,gochat_gateway=debug`.
    pub filter: String,
    /// `pretty` for people, `json` for machines.
    pub format: LogFormat,
    /// OTLP over gRPC, such as `http://collector:4317`; empty: no traces.
    pub otlp: String,
    /// Share of messages (the operator: of looks at a cluster) that are traced, 0.0 to 1.0, decided at the edge before
    /// there is a span.
    pub sample_ratio: f64,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Pretty, otlp: String::new(), sample_ratio: 0.01 }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// What can't be installed.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is malformed.
    #[error("telemetry.filter {filter:?}: {reason}")]
    Filter {
        /// As it was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The ratio is out of range.
    #[error("telemetry.sample_ratio {0}: must be from 0.0 to 1.0")]
    Ratio(f64),
    /// The exporter can't be made.
    #[error("telemetry.otlp {address:?}")]
    Otlp {
        /// As it was given.
        address: String,
        /// Why.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Another recorder or subscriber is installed in this process.
    #[error("telemetry is installed already: {0}")]
    Installed(String),
}

/// Keeps the exporter; dropped at the end of the process, it sends what is left.
#[derive(Debug)]
pub struct Telemetry {
    metrics: PrometheusHandle,
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// What `/metrics` renders.
    pub fn metrics(&self) -> PrometheusHandle {
        self.metrics.clone()
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // Bounded: a collector that is away must not hold a process that wants to end.
        if let Some(Err(error)) =
            self.provider.as_ref().map(|p| p.shutdown_with_timeout(Duration::from_secs(1)))
        {
            tracing::debug!(%error, "the last spans were not sent");
        }
    }
}

/// Installs logs, traces and metrics for this process, which calls itself `service`. Needs a tokio runtime where
/// traces are on.
pub fn init(config: &TelemetryConfig, service: &'static str) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|e| TelemetryError::Filter { filter: config.filter.clone(), reason: e.to_string() })?;
    let provider = provider(config, service)?;
    let lines = match config.format {
        LogFormat::Pretty => tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .compact()
            .boxed(),
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    let spans = provider.as_ref().map(|p| {
        tracing_opentelemetry::layer()
            .with_tracer(p.tracer(service))
            .with_threads(false)
            .with_tracked_inactivity(false)
            // The hint keeps every library's trace events as cheap as they are without this layer.
            .with_filter(
                filter_fn(|metadata| metadata.is_span() && metadata.target() == crate::trace::TARGET)
                    .with_max_level_hint(LevelFilter::INFO),
            )
    });
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(spans)
        .try_init()
        .map_err(|e| TelemetryError::Installed(e.to_string()))?;
    if provider.is_some() {
        crate::trace::enable(config.sample_ratio);
    }
    Ok(Telemetry { metrics: recorder()?, provider })
}

fn provider(
    config: &TelemetryConfig,
    service: &'static str,
) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    if !(0.0..=1.0).contains(&config.sample_ratio) {
        return Err(TelemetryError::Ratio(config.sample_ratio));
    }
    if config.otlp.is_empty() {
        return Ok(None);
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&config.otlp)
        .with_timeout(Duration::from_secs(3))
        .build()
        .map_err(|e| TelemetryError::Otlp { address: config.otlp.clone(), source: Arc::new(e) })?;
    Ok(Some(
        SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            // Where there is a span, `trace` has decided for it; twice would be the ratio's square.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(Resource::builder().with_service_name(service).build())
            .build(),
    ))
}

fn recorder() -> Result<PrometheusHandle, TelemetryError> {
    let installed = |e: metrics_exporter_prometheus::BuildError| TelemetryError::Installed(e.to_string());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .and_then(|b| b.set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), BYTES))
        .map_err(installed)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|e| TelemetryError::Installed(e.to_string()))?;
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: &TelemetryConfig) -> String {
        init(config, "test").unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_setting_is_named_with_its_value() {
        let wrong = TelemetryConfig { filter: "gochat=loud".to_owned(), ..Default::default() };
        assert!(refused(&wrong).contains("telemetry.filter \"gochat=loud\""));
        let wrong = TelemetryConfig { sample_ratio: 1.5, ..Default::default() };
        assert_eq!(refused(&wrong), "telemetry.sample_ratio 1.5: must be from 0.0 to 1.0");
    }
}
