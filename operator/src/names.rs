//! What things are called: objects, labels, annotations, ports, the field manager. Nobody else writes such a string.
//!
//! A name that changes here is another object on the next upgrade; a label in [`selector`] can't change at all, since a
//! Deployment's selector is immutable.

use std::collections::BTreeMap;

use gochat_crds::{PlacedWorkload, ScaledWorkload};

/// The manager of all fields that the operator applies.
pub const FIELD_MANAGER: &str = "gochat-operator";

/// Whose an object is.
pub const CLUSTER: &str = "gochat.io/cluster";
/// Of which workload an object is.
pub const WORKLOAD: &str = "gochat.io/workload";

/// On a GoChatCluster: while `"true"` the operator looks and tells, and changes nothing.
pub const PAUSED: &str = "gochat.io/paused";
/// On a GoChatRebalance: `"true"` lets it move.
pub const APPROVE: &str = "gochat.io/approve";
/// On a GoChatRebalance: `"true"` stops it; what is on its way arrives.
pub const STOP: &str = "gochat.io/stop";
/// On a pod template: what [`crate::cluster::rollout`] knows it by.
pub const TEMPLATE_HASH: &str = "gochat.io/template-hash";
/// On a pod template: what the values of the secrets that its processes read once are known by.
pub const SECRETS_HASH: &str = "gochat.io/secrets-hash";
/// On a pod template: the version of GoChat that it runs.
pub const VERSION: &str = "gochat.io/version";

/// The migration, where a workload would be named.
pub const MIGRATE: &str = "migrate";

/// The standard labels.
pub const APP_NAME: &str = "app.kubernetes.io/name";
/// The standard labels.
pub const APP_INSTANCE: &str = "app.kubernetes.io/instance";
/// The standard labels.
pub const APP_COMPONENT: &str = "app.kubernetes.io/component";
/// The standard labels.
pub const APP_MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Name of the port with the clients' HTTP and WebSocket.
pub const HTTP: &str = "http";
/// Name of the port that other members and the operator call.
pub const GRPC: &str = "grpc";
/// Name of the port with probes and metrics.
pub const ADMIN: &str = "admin";

/// What the operator's own pods are labelled by, as `app.kubernetes.io/name`.
pub const OPERATOR: &str = "gochat-operator";

/// The port of the Service that clients reach.
pub const SERVICE_PORT: u16 = 80;
/// Where the gateway listens for clients.
pub const HTTP_PORT: u16 = 8080;
/// Where probes and metrics are, in every pod.
pub const ADMIN_PORT: u16 = 9100;

/// Where a workload serves gRPC.
pub const fn grpc_port(workload: ScaledWorkload) -> u16 {
    match workload {
        ScaledWorkload::Logic => 9001,
        ScaledWorkload::Repo => 9002,
        ScaledWorkload::Gateway => 9003,
        ScaledWorkload::Task => 9004,
    }
}

/// `<cluster>-<workload>`: Deployment, Service, PodDisruptionBudget, NetworkPolicy, ServiceAccount and GoChatScaler.
pub fn workload(cluster: &str, workload: ScaledWorkload) -> String {
    format!("{cluster}-{}", workload.as_str())
}

/// The GoChatPlacement of a workload.
pub fn placement(cluster: &str, workload: PlacedWorkload) -> String {
    format!("{cluster}-{}", workload.as_str())
}

/// The secret with the signing keys that the operator generated; its key is [`KEYS`].
pub fn signing_keys(cluster: &str) -> String {
    format!("{cluster}-signing-keys")
}

/// The key of a secret with signing keys.
pub const KEYS: &str = "keys";

/// Labels of every object of a cluster; also what they are found by.
pub fn cluster_labels(cluster: &str) -> BTreeMap<String, String> {
    labels([
        (APP_NAME, "gochat"),
        (APP_INSTANCE, cluster),
        (APP_MANAGED_BY, FIELD_MANAGER),
        (CLUSTER, cluster),
    ])
}

/// Labels of an object of a part of a cluster: a workload's name, or `migrate`.
pub fn component_labels(cluster: &str, component: &str) -> BTreeMap<String, String> {
    let mut labels = cluster_labels(cluster);
    labels.extend(
        [(APP_COMPONENT, component), (WORKLOAD, component)].map(|(k, v)| (k.to_owned(), v.to_owned())),
    );
    labels
}

/// What selects the pods of a workload. Never changes.
pub fn selector(cluster: &str, component: &str) -> BTreeMap<String, String> {
    labels([(CLUSTER, cluster), (WORKLOAD, component)])
}

/// The selector as text, for lists and watches.
pub fn selector_text(cluster: &str, workload: ScaledWorkload) -> String {
    format!("{CLUSTER}={cluster},{WORKLOAD}={}", workload.as_str())
}

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}
