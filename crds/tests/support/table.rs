//! What is refused, and by which words: once for both judges, the offline check and the API server.

/// A change of the sample's spec that is refused. `words` are in every message.
pub(crate) struct Case {
    /// Replaces or adds to the spec, as YAML.
    pub(crate) spec: &'static str,
    /// Names of the field and of the fix.
    pub(crate) words: &'static [&'static str],
}

const fn case(spec: &'static str, words: &'static [&'static str]) -> Case {
    Case { spec, words }
}

/// Refused at creation.
pub(crate) const CREATE: &[Case] = &[
    case("kafka: {bootstrap: ''}", &["spec.kafka.bootstrap"]),
    case("kafka: {bootstrap: kafka}", &["spec.kafka.bootstrap"]),
    case("kafka: {bootstrap: 'a:9092,,b:9092'}", &["spec.kafka.bootstrap"]),
    case("mysql: {secret: {name: ''}}", &["spec.mysql.secret.name"]),
    case("gateway: {shards: 48}", &["gateway.shards must be a power of two, such as 64"]),
    case("gateway: {shards: 8192}", &["spec.gateway.shards", "4096"]),
    case("gateway: {shards: 0}", &["spec.gateway.shards", "1"]),
    case("gateway: {replicas: 1001}", &["spec.gateway.replicas", "1000"]),
    case("gateway: {replicas: -1}", &["spec.gateway.replicas", "0"]),
    case("gateway: {replicas: two}", &["spec.gateway.replicas"]),
    case(
        "gateway: {replicas: 2, autoscaling: {min: 1, max: 3}}",
        &["gateway.replicas and gateway.autoscaling exclude each other: remove one of them"],
    ),
    case(
        "logic: {replicas: 2, autoscaling: {min: 1, max: 3}}",
        &["logic.replicas and logic.autoscaling exclude each other: remove one of them"],
    ),
    case(
        "repo: {replicas: 2, autoscaling: {min: 1, max: 3}}",
        &["repo.replicas and repo.autoscaling exclude each other: remove one of them"],
    ),
    case(
        "task: {replicas: 2, autoscaling: {min: 1, max: 3}}",
        &["task.replicas and task.autoscaling exclude each other: remove one of them"],
    ),
    case(
        "gateway: {autoscaling: {min: 5, max: 3}}",
        &["gateway.autoscaling.min is more than gateway.autoscaling.max"],
    ),
    case(
        "logic: {autoscaling: {min: 5, max: 3}}",
        &["logic.autoscaling.min is more than logic.autoscaling.max"],
    ),
    case(
        "repo: {autoscaling: {min: 5, max: 3}}",
        &["repo.autoscaling.min is more than repo.autoscaling.max"],
    ),
    case(
        "task: {autoscaling: {min: 5, max: 3}}",
        &["task.autoscaling.min is more than task.autoscaling.max"],
    ),
    case("gateway: {autoscaling: {min: 1}}", &["spec.gateway.autoscaling", "max"]),
    case(
        "gateway: {autoscaling: {min: 1, max: 3, targets: {cpuPercent: 101}}}",
        &["spec.gateway.autoscaling.targets.cpuPercent", "100"],
    ),
    case(
        "gateway: {ingress: {host: a.example}, httpRoute: {hostnames: [a.example], parentRefs: [{name: g}]}}",
        &["gateway.ingress and gateway.httpRoute exclude each other: remove one of them"],
    ),
    case(
        "gateway: {service: {nodePort: 30080}}",
        &["gateway.service.nodePort needs gateway.service.type NodePort or LoadBalancer"],
    ),
    case(
        "gateway: {service: {type: NodePort, loadBalancerClass: a/b}}",
        &["gateway.service.loadBalancerClass needs gateway.service.type LoadBalancer"],
    ),
    case(
        "gateway: {service: {externalTrafficPolicy: Local}}",
        &["gateway.service.externalTrafficPolicy needs gateway.service.type NodePort or LoadBalancer"],
    ),
    case("gateway: {service: {type: Headless}}", &["spec.gateway.service.type", "ClusterIP"]),
    case(
        "gateway: {httpRoute: {hostnames: [], parentRefs: [{name: g}]}}",
        &["spec.gateway.httpRoute.hostnames"],
    ),
    case(
        "repo: {autoscaling: {min: 1, max: 3, targets: {callP99: 0ms}}}",
        &["repo.autoscaling.targets.callP99 must be 1ms to 1m"],
    ),
    case("gateway: {drain: {window: 2h}}", &["gateway.drain.window must be 1s to 1h"]),
    case("gateway: {drain: {window: soon}}", &["spec.gateway.drain.window"]),
    case("gateway: {drain: {rate: 0}}", &["spec.gateway.drain.rate", "1"]),
    case(
        "kafka: {bootstrap: 'k:9092', tls: {ca: {}}}",
        &["kafka.tls.ca needs exactly one of secret and inline"],
    ),
    case(
        "kafka: {bootstrap: 'k:9092', tls: {ca: {inline: '-----BEGIN CERTIFICATE-----', secret: {name: a, key: b}}}}",
        &["kafka.tls.ca needs exactly one of secret and inline"],
    ),
    case("kafka: {bootstrap: 'k:9092', tls: {ca: {inline: abc}}}", &["spec.kafka.tls.ca.inline"]),
    case(
        "kafka: {bootstrap: 'k:9092', sasl: {mechanism: GSSAPI, secret: {name: a}}}",
        &["spec.kafka.sasl.mechanism", "SCRAM-SHA-512"],
    ),
    case("kafka: {bootstrap: 'k:9092', topics: {prefix: 'a b'}}", &["spec.kafka.topics.prefix"]),
    case("kafka: {bootstrap: 'k:9092', topics: {replication: 8}}", &["spec.kafka.topics.replication", "7"]),
    case(
        "kafka: {bootstrap: 'k:9092', topics: {upstream: {partitions: {min: 32, max: 16}}}}",
        &["partitions.min is more than partitions.max: raise max or lower min"],
    ),
    case(
        "kafka: {bootstrap: 'k:9092', topics: {task: {partitions: {min: 5000}}}}",
        &["spec.kafka.topics.task.partitions.min", "4096"],
    ),
    case(
        "auth: {keysSecret: {name: a}, keyRotation: 720h}",
        &["auth.keyRotation is for generated keys: with auth.keysSecret you rotate them"],
    ),
    case("auth: {keyRotation: 1s}", &["auth.keyRotation must be at least 1h"]),
    case("auth: {accessTokenTtl: 0s}", &["auth.accessTokenTtl must be 10s to 24h"]),
    case("auth: {sessionTtl: 9000h}", &["auth.sessionTtl must be 1m to 8760h"]),
    case("limits: {textBytes: 20000}", &["spec.limits.textBytes", "16384"]),
    case("observability: {tracing: {otlp: collector}}", &["spec.observability.tracing.otlp"]),
    case("rebalance: {bandPercent: 0}", &["spec.rebalance.bandPercent", "1"]),
    case("rebalance: {mode: Sometimes}", &["spec.rebalance.mode", "Manual"]),
    case("deletion: {topics: Keep}", &["spec.deletion.topics", "Retain"]),
    case("version: 'a b'", &["spec.version"]),
];

/// Refused as a change of the sample.
pub(crate) const UPDATE: &[Case] = &[
    case("gateway: {shards: 32}", &["gateway.shards can't be changed: users are at home in their shard"]),
    case(
        "kafka: {bootstrap: 'kafka:9092', topics: {upstream: {partitions: {min: 8}}}}",
        &["partitions.min can't shrink: Kafka keeps the partitions that there are"],
    ),
    case(
        "kafka: {bootstrap: 'kafka:9092', topics: {prefix: other}}",
        &["kafka.topics.prefix can't be changed: the messages under way are in the topics of the old one"],
    ),
];
