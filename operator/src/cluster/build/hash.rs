//! What a template or a configuration is known by: a hash of its meaning, not of its letters.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

/// Ten hexadecimal digits. The order of keys doesn't matter, and neither do nulls and empty things: none of them changes
/// what Kubernetes makes of it.
pub(super) fn hash(value: &impl Serialize) -> String {
    let mut text = String::new();
    if let Ok(value) = serde_json::to_value(value) {
        canonical(&value, &mut text);
    }
    let hex = format!("{:016x}", xxh3_64(text.as_bytes()));
    hex.get(..10).unwrap_or(&hex).to_owned()
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().filter(|(_, value)| !is_nothing(value)).collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (key, value) in entries {
                let _ = write!(out, "{key:?}:");
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        scalar => {
            let _ = write!(out, "{scalar}");
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        // An empty volume source (`emptyDir: {}`) means something, an empty map of labels does not: it is kept.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_means_the_same_is_known_by_the_same() {
        let one = hash(&json!({ "a": 1, "b": { "c": "x", "d": null } }));
        assert_eq!(one, hash(&json!({ "b": { "c": "x" }, "a": 1, "e": [] })));
        assert_ne!(one, hash(&json!({ "a": "1", "b": { "c": "x" } })));
        assert_ne!(hash(&json!(["a", "b"])), hash(&json!(["b", "a"])));
        assert_eq!(one.len(), 10);
    }
}
