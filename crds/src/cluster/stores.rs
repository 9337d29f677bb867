//! What is reached by an address in a secret.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// An address with its credentials, in a secret of this namespace.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Store {
    /// Where it is.
    pub secret: StoreSecret,
}

/// A key of a secret that holds an address.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreSecret {
    /// The secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its key.
    #[serde(default = "StoreSecret::key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

impl StoreSecret {
    fn key() -> String {
        "url".to_owned()
    }
}

/// A key of a secret.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its key.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A secret of this namespace.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretName {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}
