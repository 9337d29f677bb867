//! A `GoChatCluster` as settings of the services. Flags of the user's own go over them.

use gochat_crds::{GoChatCluster, Span};

/// `key=value` pairs, as `--set` takes them.
pub(super) fn settings(cluster: &GoChatCluster) -> Vec<(String, String)> {
    let spec = &cluster.spec;
    let (limits, auth) = (&spec.limits, &spec.auth);
    let count = |value: Option<u32>| value.map(|v| v.to_string());
    let time = |value: Option<Span>| value.map(|v| v.to_string());
    [
        ("topics.shards", Some(spec.gateway.shards.to_string())),
        ("topics.upstream_partitions", Some(spec.kafka.topics.upstream.partitions.min.to_string())),
        ("topics.task_partitions", Some(spec.kafka.topics.task.partitions.min.to_string())),
        ("gateway.limits.connections", count(limits.connections)),
        ("gateway.limits.connections_per_user", count(limits.connections_per_user)),
        ("gateway.limits.frame_bytes", count(limits.frame_bytes)),
        ("gateway.limits.text_bytes", count(limits.text_bytes)),
        ("gateway.limits.messages_per_second", count(limits.messages_per_second)),
        ("gateway.limits.user_messages_per_second", count(limits.user_messages_per_second)),
        ("logic.auth.access_lifetime", time(auth.access_token_ttl)),
        ("logic.auth.session_lifetime", time(auth.session_ttl)),
        // Ours, not the cluster's: quiet services, and a stop that a person at a terminal waits for.
        ("telemetry.filter", Some("warn".to_owned())),
        ("admin.listen", Some("127.0.0.1:9100".to_owned())),
        ("gateway.drain_window", Some("500ms".to_owned())),
        ("logic.drain_timeout", Some("2s".to_owned())),
        ("task.drain_timeout", Some("2s".to_owned())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
    .collect()
}

#[cfg(test)]
mod tests {
    use crate::settings::{Settings, SettingsArgs};

    #[test]
    fn every_field_of_the_cluster_is_a_setting_of_a_service() {
        let text = "
apiVersion: gochat.io/v1alpha1
kind: GoChatCluster
metadata: {name: a}
spec:
  gateway: {replicas: 3, shards: 32}
  kafka: {bootstrap: 'kafka:9092', topics: {upstream: {partitions: {min: 4}}, task: {partitions: {min: 2}}}}
  mysql: {secret: {name: a}}
  limits: {connections: 9, connectionsPerUser: 8, frameBytes: 7000, textBytes: 600, messagesPerSecond: 5, userMessagesPerSecond: 4}
  auth: {accessTokenTtl: 1m, sessionTtl: 48h}
";
        let cluster = gochat_crds::file::read(text, "test").unwrap();
        let settings = Settings::load(&SettingsArgs::default(), super::settings(&cluster)).unwrap();
        let (topics, limits, auth) = (&settings.topics, &settings.gateway.limits, &settings.logic.auth);
        assert_eq!((topics.shards, topics.upstream_partitions, topics.task_partitions), (32, 4, 2));
        assert_eq!((limits.connections, limits.connections_per_user, limits.frame_bytes), (9, 8, 7000));
        assert_eq!(limits.text_bytes, 600);
        assert_eq!((limits.messages_per_second, limits.user_messages_per_second), (5, 4));
        assert_eq!((auth.access_lifetime.as_secs(), auth.session_lifetime.as_secs()), (60, 172_800));
    }
}
