//! What is asked of the services and of the operator, beside their number and shape.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretName;
use crate::Span;

/// Tokens and sessions; what is not given stays as logic has it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("!(has(self.keysSecret) && has(self.keyRotation))")
    .message("auth.keyRotation is for generated keys: with auth.keysSecret you rotate them, so remove one of them"))]
#[x_kube(validation = Rule::new("!has(self.keyRotation) || duration(self.keyRotation) >= duration('1h')")
    .message("auth.keyRotation must be at least 1h: each key stays until the sessions that it signed are over"))]
#[x_kube(validation = Rule::new("!has(self.accessTokenTtl) || duration(self.accessTokenTtl) >= duration('10s') && duration(self.accessTokenTtl) <= duration('24h')")
    .message("auth.accessTokenTtl must be 10s to 24h"))]
#[x_kube(validation = Rule::new("!has(self.sessionTtl) || duration(self.sessionTtl) >= duration('1m') && duration(self.sessionTtl) <= duration('8760h')")
    .message("auth.sessionTtl must be 1m to 8760h"))]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// Signing keys of your own: key `keys`, one `kid: base64` of at least 32 bytes a line, the first signs, all verify.
    /// Generated, and kept over every re-apply, when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_secret: Option<SecretName>,
    /// How often a generated key is followed by a new one, at least 1h; the old one verifies until its tokens are over. Never by
    /// default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_rotation: Option<Span>,
    /// Life of an access token, such as `15m`; 10s to 24h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_ttl: Option<Span>,
    /// Life of a session that is not refreshed, such as `720h`; 1m to 8760h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_ttl: Option<Span>,
}

/// What clients may do; what is not given stays as the gateway has it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Connections of one gateway, 1 to 1,000,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: Option<u32>,
    /// Connections of one user at one gateway, 1 to 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub connections_per_user: Option<u32>,
    /// Largest frame, in bytes, 1 KiB to 1 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 1_048_576))]
    pub frame_bytes: Option<u32>,
    /// Longest text, in bytes of UTF-8, 1 to 16,384.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16384))]
    pub text_bytes: Option<u32>,
    /// Messages a second of one connection, 1 to 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub messages_per_second: Option<u32>,
    /// Messages a second of one user at one gateway, 1 to 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub user_messages_per_second: Option<u32>,
}

/// Logs, metrics and traces.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observability {
    /// Level, or levels by module: `info`, `info,gochat_gateway=debug`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub log_filter: Option<String>,
    /// `Json` for machines, `Pretty` for people.
    #[serde(default)]
    pub log_format: LogFormat,
    /// Prometheus.
    #[serde(default)]
    pub metrics: Metrics,
    /// OpenTelemetry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Pretty,
}

/// Prometheus; both need the Prometheus Operator's resources, and are left out where the API server has none.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// A PodMonitor that scrapes all pods.
    #[serde(default = "yes")]
    pub pod_monitor: bool,
    /// A PrometheusRule with alerts.
    #[serde(default = "yes")]
    pub alerts: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { pod_monitor: yes(), alerts: yes() }
    }
}

fn yes() -> bool {
    true
}

/// OpenTelemetry.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tracing {
    /// OTLP over gRPC, such as `http://collector:4317`.
    #[schemars(length(max = 512), regex(pattern = r"^https?://.+"))]
    pub otlp: String,
    /// One of so many messages is traced, 1 to 1,000,000.
    #[serde(default = "Tracing::one_in")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub one_in: u32,
}

impl Tracing {
    fn one_in() -> u32 {
        100
    }
}

/// When and how slots are moved between pods.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rebalance {
    /// `Auto`: moved when needed; `Manual`: only by a GoChatRebalance, and off pods that go or are gone.
    #[serde(default)]
    pub mode: RebalanceMode,
    /// A pod may carry so many per cent more than its share before slots leave it, 1 to 100.
    #[serde(default = "Rebalance::band_percent")]
    #[schemars(range(min = 1, max = 100))]
    pub band_percent: u32,
    /// For how long it has to.
    #[serde(default = "Rebalance::patience")]
    pub patience: Span,
    /// A slot that was moved stays for so long.
    #[serde(default = "Rebalance::cool_down")]
    pub cool_down: Span,
    /// Most slots moved by one plan, 1 to 4,096.
    #[serde(default = "Rebalance::max_moves")]
    #[schemars(range(min = 1, max = 4096))]
    pub max_moves: u32,
}

impl Rebalance {
    fn band_percent() -> u32 {
        10
    }
    fn patience() -> Span {
        Span::seconds(30)
    }
    fn cool_down() -> Span {
        Span::seconds(120)
    }
    fn max_moves() -> u32 {
        16
    }
}

impl Default for Rebalance {
    fn default() -> Self {
        Self {
            mode: RebalanceMode::default(),
            band_percent: Self::band_percent(),
            patience: Self::patience(),
            cool_down: Self::cool_down(),
            max_moves: Self::max_moves(),
        }
    }
}

/// Who asks for moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RebalanceMode {
    /// Moved when needed.
    #[default]
    Auto,
    /// Only by a GoChatRebalance, and off pods that go or are gone.
    Manual,
}

/// What stays when the GoChatCluster is deleted. MySQL and Redis are never touched.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// The Kafka topics.
    #[serde(default)]
    pub topics: DeletionPolicy,
    /// The generated signing keys.
    #[serde(default)]
    pub secrets: DeletionPolicy,
}

/// Stays, or goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Stays.
    #[default]
    Retain,
    /// Goes.
    Delete,
}
