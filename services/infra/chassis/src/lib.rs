//! What every GoChat process is made of.
//!
//! ```text
//! config      defaults < file < environment < flags; unknown keys refused with the nearest known one
//! telemetry   tracing (pretty or JSON), OTLP, Prometheus metrics; trace context in and out of records
//! health      /livez, /readyz, /metrics on the admin port
//! shutdown    one token, one tracker: graceful stop
//! resilience  deadlines, retry with jitter and budget, circuit breaker
//! grpc        server with health and reflection; channels balanced over coord members
//! ```
