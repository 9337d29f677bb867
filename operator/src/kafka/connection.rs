//! Address and credentials of a Kafka. Secrets' values are read when a client is made, and nowhere else.

use gochat_crds as api;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use rdkafka::ClientConfig;

use crate::cluster::ClusterKey;

/// Who is spoken to, and how: what two clusters have in common that can share a client. Holds no secret's value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Connection {
    pub(super) bootstrap: String,
    /// `None`: no TLS.
    tls: Option<Authority>,
    sasl: Option<Login>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Authority {
    System,
    Inline(String),
    Secret { namespace: String, name: String, key: String },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Login {
    mechanism: &'static str,
    namespace: String,
    secret: String,
}

impl Connection {
    pub(super) fn of(key: &ClusterKey, kafka: &api::Kafka) -> Self {
        let namespace = || key.namespace.clone();
        let authority = |tls: &api::KafkaTls| match tls.ca.clone().unwrap_or_default() {
            api::CertificateAuthority { inline: Some(pem), .. } => Authority::Inline(pem),
            api::CertificateAuthority { secret: Some(secret), .. } => {
                Authority::Secret { namespace: namespace(), name: secret.name, key: secret.key }
            }
            api::CertificateAuthority { .. } => Authority::System,
        };
        Self {
            bootstrap: kafka.bootstrap.clone(),
            tls: kafka.tls.as_ref().map(authority),
            sasl: kafka.sasl.as_ref().map(|sasl| Login {
                mechanism: sasl.mechanism.as_str(),
                namespace: namespace(),
                secret: sasl.secret.name.clone(),
            }),
        }
    }

    /// What librdkafka needs. The error names what is missing, never a value.
    pub(super) async fn settings(&self, client: &Client) -> Result<ClientConfig, String> {
        let mut settings = ClientConfig::new();
        let fixed = [
            ("client.id", "gochat-operator"),
            ("allow.auto.create.topics", "false"),
            ("socket.connection.setup.timeout.ms", "5000"),
            ("reconnect.backoff.ms", "100"),
            ("reconnect.backoff.max.ms", "5000"),
            ("log.connection.close", "false"),
            // A thousand clusters' topics are asked for by hand; nobody needs them refreshed.
            ("topic.metadata.refresh.interval.ms", "-1"),
        ];
        for (name, value) in fixed {
            settings.set(name, value);
        }
        settings.set("bootstrap.servers", &self.bootstrap);
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => "PLAINTEXT",
            (Some(_), None) => "SSL",
            (None, Some(_)) => "SASL_PLAINTEXT",
            (Some(_), Some(_)) => "SASL_SSL",
        };
        settings.set("security.protocol", protocol);
        match &self.tls {
            Some(Authority::Inline(pem)) => drop(settings.set("ssl.ca.pem", pem)),
            Some(Authority::Secret { namespace, name, key }) => {
                settings.set("ssl.ca.pem", &value(client, namespace, name, key).await?);
            }
            Some(Authority::System) | None => {}
        }
        if let Some(login) = &self.sasl {
            settings.set("sasl.mechanism", login.mechanism);
            for (setting, key) in [("sasl.username", "username"), ("sasl.password", "password")] {
                settings.set(setting, &value(client, &login.namespace, &login.secret, key).await?);
            }
        }
        Ok(settings)
    }
}

async fn value(client: &Client, namespace: &str, name: &str, key: &str) -> Result<String, String> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = api.get_opt(name).await.map_err(|error| format!("secret {name} can't be read: {error}"))?;
    let secret = secret.ok_or_else(|| format!("secret {name} is not there"))?;
    let bytes = secret
        .data
        .and_then(|mut data| data.remove(key))
        .ok_or_else(|| format!("secret {name} has no {key}"))?;
    String::from_utf8(bytes.0).map_err(|_| format!("secret {name}: {key} is not UTF-8"))
}
