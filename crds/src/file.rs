//! A resource from a file, checked as the API server would check it, without one: for `gochat dev` and
//! `gochat-operator render`.

use jsonschema::Validator;
use kube::CustomResourceExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A file that can't be used. Every message names the file, the field and what is wanted.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum FileError {
    #[error("{file}: not YAML: {reason}")]
    Yaml { file: String, reason: String },
    #[error("{file}: unknown field `{field}`{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    Unknown { file: String, field: String, nearest: Option<String> },
    #[error("{file}: `{field}`: {reason}")]
    Invalid { file: String, field: String, reason: String },
    #[error("{file}: is a {found}, not a {wanted}")]
    Kind { file: String, found: String, wanted: String },
}

/// Reads one resource; `file` names where the text is from.
pub fn read<T>(text: &str, file: &str) -> Result<T, FileError>
where
    T: CustomResourceExt + DeserializeOwned + Serialize,
{
    let yaml = |reason: String| FileError::Yaml { file: file.to_owned(), reason };
    let value: Value = serde_saphyr::from_str(text).map_err(|e| yaml(e.to_string()))?;
    kind::<T>(&value, file)?;
    let schema = schema::<T>();
    let spec = (value.get("spec"), schema.pointer("/properties/spec"));
    if let (Some(spec), Some(schema)) = spec {
        known(spec, schema, "spec", file)?;
    }
    let invalid = |field: String, reason: String| FileError::Invalid { file: file.to_owned(), field, reason };
    let validator = Validator::new(&schema).map_err(|e| yaml(format!("the schema itself: {e}")))?;
    if let Some(error) = validator.iter_errors(&value).next() {
        return Err(invalid(dotted(error.instance_path().as_str()), error.to_string()));
    }
    let resource: T = serde_json::from_value(value).map_err(|e| yaml(e.to_string()))?;
    // What is checked by rules has its defaults filled in, as in the API server.
    let filled = serde_json::to_value(&resource).map_err(|e| yaml(e.to_string()))?;
    match kube::core::cel::Validator::new().validate(&schema, &filled, None) {
        Ok(()) => Ok(resource),
        Err(errors) => {
            let first = errors.iter().next();
            Err(invalid(
                first.map(|e| e.field_path.trim_start_matches('.').to_owned()).unwrap_or_default(),
                first.map(|e| e.message.clone()).unwrap_or_default(),
            ))
        }
    }
}

fn kind<T: CustomResourceExt>(value: &Value, file: &str) -> Result<(), FileError> {
    let resource = T::api_resource();
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or("nothing");
    let (version, kind) = (text("apiVersion"), text("kind"));
    if (version, kind) == (resource.api_version.as_str(), resource.kind.as_str()) {
        return Ok(());
    }
    Err(FileError::Kind {
        file: file.to_owned(),
        found: format!("{version} {kind}"),
        wanted: format!("{} {}", resource.api_version, resource.kind),
    })
}

/// The schema of the resource's only version.
fn schema<T: CustomResourceExt>() -> Value {
    let crd = serde_json::to_value(T::crd()).unwrap_or_default();
    crd.pointer("/spec/versions/0/schema/openAPIV3Schema").cloned().unwrap_or_default()
}

/// Refuses fields that the schema doesn't know: the API server would drop them, and nobody would notice.
fn known(value: &Value, schema: &Value, path: &str, file: &str) -> Result<(), FileError> {
    match value {
        Value::Object(fields) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Ok(()) };
            for (name, value) in fields {
                let field = format!("{path}.{name}");
                let Some(schema) = properties.get(name) else {
                    let nearest = nearest(name, properties.keys()).map(|n| format!("{path}.{n}"));
                    return Err(FileError::Unknown { file: file.to_owned(), field, nearest });
                };
                known(value, schema, &field, file)?;
            }
            Ok(())
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return Ok(()) };
            items
                .iter()
                .enumerate()
                .try_for_each(|(i, item)| known(item, schema, &format!("{path}[{i}]"), file))
        }
        _ => Ok(()),
    }
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    known
        .map(|k| (strsim::jaro_winkler(name, k), k))
        .filter(|(similar, _)| *similar > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}

/// `/spec/a/0/b` as `spec.a[0].b`.
fn dotted(pointer: &str) -> String {
    pointer.split('/').skip(1).fold(String::new(), |path, part| match part.parse::<usize>() {
        Ok(index) => format!("{path}[{index}]"),
        Err(_) if path.is_empty() => part.to_owned(),
        Err(_) => format!("{path}.{part}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GoChatCluster;

    fn refused(spec: &str) -> String {
        let head = "apiVersion: gochat.io/v1alpha1\nkind: GoChatCluster\nmetadata: { name: a }\n";
        let needs = "kafka: { bootstrap: 'k:9092' }, mysql: { secret: { name: m } }";
        read::<GoChatCluster>(&format!("{head}spec: {{ {needs}, {spec} }}\n"), "a.yaml")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_sample_is_valid_and_short() {
        let sample: GoChatCluster = read(crate::SAMPLE, "sample").unwrap();
        assert!(crate::SAMPLE.lines().count() <= 10);
        assert_eq!((sample.spec.gateway.replicas, sample.spec.gateway.shards), (None, 16));
    }

    #[test]
    fn a_typo_is_refused_with_the_nearest_field() {
        assert_eq!(
            refused("gateway: {replica: 3}"),
            "a.yaml: unknown field `spec.gateway.replica`; did you mean `spec.gateway.replicas`?"
        );
    }

    #[test]
    fn what_the_schema_refuses_is_refused_by_field() {
        let error = refused("gateway: {shards: 5000}");
        assert!(error.starts_with("a.yaml: `spec.gateway.shards`: 5000 is greater than"), "{error}");
        let error = refused("gateway: {drain: {window: soon}}");
        assert!(error.starts_with("a.yaml: `spec.gateway.drain.window`"), "{error}");
    }

    #[test]
    fn what_the_rules_refuse_is_refused_with_the_fix() {
        let error = refused("gateway: {shards: 48}");
        assert_eq!(error, "a.yaml: `spec.gateway.shards`: gateway.shards must be a power of two, such as 64");
        let error = refused("logic: {replicas: 3, autoscaling: {min: 1, max: 2}}");
        assert!(error.contains("logic.replicas and logic.autoscaling exclude each other"), "{error}");
    }

    #[test]
    fn another_kind_of_resource_is_refused() {
        let error = read::<GoChatCluster>("apiVersion: v1\nkind: Pod\n", "a.yaml").unwrap_err().to_string();
        assert_eq!(error, "a.yaml: is a v1 Pod, not a gochat.io/v1alpha1 GoChatCluster");
    }
}
