//! Whether the API server knows our resources as this operator does. While it does not, the operator waits, and `/readyz`
//! says for what.
//!
//! Newer definitions than ours are fine: versions of an API grow.

use std::time::Duration;

use gochat_chassis::Check;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;
use tokio::time::sleep;

/// While something is missing.
const AGAIN: Duration = Duration::from_secs(2);
/// While nothing is.
const SLOW: Duration = Duration::from_secs(60);

const FIX: &str = "run `gochat-operator crds | kubectl apply --server-side -f -`";

/// Until the API server knows them.
pub async fn wait(client: &Client, check: &Check) {
    while let Err(why) = look(client).await {
        check.not_ready(why);
        sleep(AGAIN).await;
    }
    check.ready();
}

/// Goes on looking, and tells when they are missed.
pub async fn follow(client: &Client, check: &Check) {
    loop {
        sleep(SLOW).await;
        wait(client, check).await;
    }
}

async fn look(client: &Client) -> Result<(), String> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for ours in gochat_crds::definitions() {
        let name = ours.name_any();
        let read = api.get_opt(&name).await;
        let theirs = read.map_err(|error| format!("the API server can't be asked: {error}"))?;
        let theirs = theirs.ok_or_else(|| format!("there is no definition of {name}: {FIX}"))?;
        if let Some(what) = lacks(&ours, &theirs) {
            return Err(format!(
                "the definition of {name} is older than this operator: it has no {what}: {FIX}"
            ));
        }
    }
    Ok(())
}

/// What of ours theirs does not have.
fn lacks(ours: &CustomResourceDefinition, theirs: &CustomResourceDefinition) -> Option<String> {
    for version in &ours.spec.versions {
        let Some(there) = theirs.spec.versions.iter().find(|v| v.name == version.name && v.served) else {
            return Some(format!("version {}", version.name));
        };
        let schema = |version| serde_json::to_value(version).unwrap_or_default();
        let (ours, theirs) = (schema(&version.schema), schema(&there.schema));
        let root = "/openAPIV3Schema";
        let missing = missing(ours.pointer(root)?, theirs.pointer(root).unwrap_or(&Value::Null), "");
        if missing.is_some() {
            return missing;
        }
    }
    None
}

/// The first property, in the order of names, that is in one schema and not in the other.
fn missing(ours: &Value, theirs: &Value, path: &str) -> Option<String> {
    if let Some(items) = ours.get("items") {
        return missing(items, theirs.get("items").unwrap_or(&Value::Null), path);
    }
    let properties = ours.get("properties")?.as_object()?;
    properties.iter().find_map(|(name, ours)| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match theirs.get("properties").and_then(|properties| properties.get(name)) {
            None => Some(path),
            Some(theirs) => missing(ours, theirs, &path),
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn without(pointer: &str, name: &str) -> Option<String> {
        let ours = gochat_crds::definitions().swap_remove(0);
        let mut theirs = serde_json::to_value(&ours).unwrap();
        theirs.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name);
        lacks(&ours, &serde_json::from_value(theirs).unwrap())
    }

    #[test]
    fn an_older_definition_is_told_by_what_it_lacks() {
        let schema = "/spec/versions/0/schema/openAPIV3Schema/properties";
        assert_eq!(without(schema, "nothing"), None);
        let found = without(&format!("{schema}/spec/properties/gateway/properties"), "drain");
        assert_eq!(found.as_deref(), Some("spec.gateway.drain"));
        let ours = gochat_crds::definitions().swap_remove(0);
        let mut unserved = ours.clone();
        unserved.spec.versions[0].served = false;
        assert_eq!(lacks(&ours, &unserved).as_deref(), Some("version v1alpha1"));
        let mut newer = serde_json::to_value(&ours).unwrap();
        newer.pointer_mut(schema).unwrap()["more"] = serde_json::json!({ "type": "string" });
        assert_eq!(lacks(&ours, &serde_json::from_value(newer).unwrap()), None);
    }
}
