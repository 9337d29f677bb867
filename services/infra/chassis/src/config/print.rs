//! The effective settings as YAML, for a person or a ticket: secrets redacted.

use serde::Serialize;
use serde_json::Value;

use super::ConfigError;

const REDACTED: &str = "<redacted>";

/// The settings as YAML. What is named `…secret`, `…password` or `…token` is redacted, and so is the password in an
/// address.
pub fn print<T: Serialize>(settings: &T) -> Result<String, ConfigError> {
    let malformed = |reason: String| ConfigError::Malformed { from: "settings".to_owned(), reason };
    let mut value = serde_json::to_value(settings).map_err(|e| malformed(e.to_string()))?;
    redact(&mut value, false);
    serde_saphyr::to_string(&value).map_err(|e| malformed(e.to_string()))
}

fn redact(value: &mut Value, secret: bool) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| redact(value, secret || is_secret(key))),
        Value::Array(items) => items.iter_mut().for_each(|item| redact(item, secret)),
        Value::String(text) if secret && !text.is_empty() => REDACTED.clone_into(text),
        Value::String(text) => {
            if let Some(without) = without_password(text) {
                *text = without;
            }
        }
        Value::Number(_) if secret => *value = REDACTED.into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["secret", "secrets", "password", "token"].iter().any(|end| key.ends_with(end))
}

/// `scheme://user:password@host` without the password, where there is one.
fn without_password(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (authority, _) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user_info, _) = authority.rsplit_once('@')?;
    let (user, _) = user_info.split_once(':')?;
    let after = rest.get(user_info.len()..)?;
    Some(format!("{scheme}://{user}:{REDACTED}{after}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_secret_is_printed() {
        let text = print(&json!({
            "db": {"url": "mysql://chat:hunter2@db:3306/gochat", "password_file": "/run/db"},
            "auth": {"jwt_secret": "hunter3", "access_token_ttl": "15m"},
            "sink": {"Token": 4711, "tokens": ["kept"], "secrets": ["hunter4"]},
            "coord": {"etcd": ["http://etcd:2379"]},
        }))
        .unwrap();
        for secret in ["hunter", "4711"] {
            assert!(!text.contains(secret), "{text}");
        }
        for kept in ["mysql://chat:<redacted>@db:3306/gochat", "/run/db", "15m", "http://etcd:2379"] {
            assert!(text.contains(kept), "{kept} in {text}");
        }
    }
}
