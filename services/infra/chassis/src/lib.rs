//! What every GoChat process is made of.
//!
//! ```text
//! config      defaults < file < environment < flags; unknown keys refused with the nearest known one
//! telemetry   tracing (pretty or JSON), OTLP, the Prometheus recorder
//! trace       W3C trace context in and out of records
//! health      what has to be well before this process is ready
//! admin       /livez, /readyz, /metrics
//! process     CPU, memory, files, disk and network of this process, for /metrics
//! shutdown    one token, one tracker: graceful stop
//! resilience  retry with jitter and budget, circuit breaker
//! grpc        server with health and reflection; channels balanced over a watched list of addresses
//! ```
//!
//! It knows nothing of chat: no other crate of GoChat is used here.

mod admin;
pub mod config;
pub mod grpc;
mod health;
mod process;
pub mod resilience;
mod shutdown;
pub mod telemetry;
pub mod trace;

pub use admin::Admin;
pub use health::{Check, Health};
pub use metrics_exporter_prometheus::PrometheusHandle;
pub use shutdown::Shutdown;
