//! Which secrets a spec refers to, and which keys of them: what is read, mounted and missed comes from here. Pure.

use gochat_crds::GoChatClusterSpec;

use super::dereference::Facts;
use crate::names;

/// A secret that a spec refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRef {
    /// Where in the spec.
    pub field: &'static str,
    /// Its name.
    pub name: String,
    /// The keys that it must have.
    pub keys: Vec<String>,
}

/// All of them. The generated signing keys are not among them: nobody refers to those.
pub fn referred(spec: &GoChatClusterSpec) -> Vec<SecretRef> {
    let secret = |field, name: &str, keys: &[&str]| SecretRef {
        field,
        name: name.to_owned(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    let mut all = vec![secret("spec.mysql.secret", &spec.mysql.secret.name, &[&spec.mysql.secret.key])];
    if let Some(redis) = &spec.redis {
        all.push(secret("spec.redis.secret", &redis.secret.name, &[&redis.secret.key]));
    }
    if let Some(ca) = spec.kafka.tls.as_ref().and_then(|tls| tls.ca.as_ref()?.secret.as_ref()) {
        all.push(secret("spec.kafka.tls.ca.secret", &ca.name, &[&ca.key]));
    }
    if let Some(sasl) = &spec.kafka.sasl {
        all.push(secret("spec.kafka.sasl.secret", &sasl.secret.name, &["username", "password"]));
    }
    if let Some(keys) = &spec.auth.keys_secret {
        all.push(secret("spec.auth.keysSecret", &keys.name, &[names::KEYS]));
    }
    all
}

/// What is not there: whole secrets, or keys of them. `key` is `None` where the secret itself is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Who refers to it.
    pub secret: SecretRef,
    /// The key that is missing.
    pub key: Option<String>,
}

/// What of the referred secrets is not there.
pub fn missing(spec: &GoChatClusterSpec, facts: &Facts) -> Vec<Missing> {
    let mut all = Vec::new();
    for secret in referred(spec) {
        match facts.secrets.get(&secret.name) {
            None => all.push(Missing { secret, key: None }),
            Some(found) => {
                let absent: Vec<_> =
                    secret.keys.iter().filter(|key| !found.keys.contains(*key)).cloned().collect();
                all.extend(absent.into_iter().map(|key| Missing { secret: secret.clone(), key: Some(key) }));
            }
        }
    }
    all
}
