//! One source's settings onto what is there.
//!
//! Each setting is applied on its own and the whole read again at once: so an error names one setting and its source,
//! whatever the type behind it. There are tens of settings, read once.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::suggest::nearest;
use super::{ConfigError, read};

/// A YAML document.
pub(super) fn document<T: DeserializeOwned>(
    known: &Value,
    value: &mut Value,
    text: &str,
    from: &str,
) -> Result<(), ConfigError> {
    let malformed = |reason: String| ConfigError::Malformed { from: from.to_owned(), reason };
    if text.lines().all(|line| line.trim_start().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(());
    }
    let found: Value = serde_saphyr::from_str(text).map_err(|e| malformed(e.to_string()))?;
    if !found.is_object() && !found.is_null() {
        return Err(malformed("must be a map of sections".to_owned()));
    }
    let mut settings = Vec::new();
    flatten(known, found, &mut Vec::new(), &mut settings, from)?;
    for (path, setting) in settings {
        try_set::<T>(value, &path, setting, from)?;
    }
    Ok(())
}

/// One setting as text: a YAML scalar or flow list. What reads as another type but should be a string is one
/// (`--set auth.secret=123`), and what should be a list may be given with commas.
pub(super) fn scalar<T: DeserializeOwned>(
    known: &Value,
    value: &mut Value,
    path: &[String],
    text: &str,
    from: &str,
) -> Result<(), ConfigError> {
    let expected = lookup(known, path, from)?;
    let parsed = match serde_saphyr::from_str::<Value>(text) {
        Ok(parsed) if !text.is_empty() => parsed,
        _ => Value::String(text.to_owned()),
    };
    let parsed = match (expected, parsed) {
        (Value::Array(_), Value::Null) => Value::Array(Vec::new()),
        (Value::Array(_), Value::String(items)) => {
            items.split(',').map(str::trim).filter(|i| !i.is_empty()).collect()
        }
        (_, parsed) => parsed,
    };
    let as_text = !parsed.is_string() && !parsed.is_array() && !parsed.is_object();
    try_set::<T>(value, path, parsed, from).or_else(|error| {
        if as_text {
            try_set::<T>(value, path, Value::String(text.to_owned()), from).map_err(|_| error)
        } else {
            Err(error)
        }
    })
}

/// The setting that an environment variable names: `GOCHAT_MQ__BOOTSTRAP` is `mq.bootstrap`.
///
/// Variables without a double underscore are not ours, since the platform sets such itself (`GOCHAT_LOGIC_PORT` for a
/// Service of that name); but one that would be a setting if it had two is a mistake, and refused.
pub(super) fn env_path(known: &Value, prefix: &str, name: &str) -> Result<Option<Vec<String>>, ConfigError> {
    let Some(rest) = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')) else {
        return Ok(None);
    };
    let lower = rest.to_lowercase();
    if lower.contains("__") {
        return Ok(Some(lower.split("__").map(str::to_owned).collect()));
    }
    for (section, inner) in known.as_object().into_iter().flatten() {
        let key = lower.strip_prefix(section.as_str()).and_then(|rest| rest.strip_prefix('_'));
        if let Some(key) = key.filter(|key| inner.get(key).is_some()) {
            let meant = format!("{prefix}_{}__{}", section.to_uppercase(), key.to_uppercase());
            return Err(ConfigError::Underscore { name: name.to_owned(), meant });
        }
    }
    Ok(None)
}

/// The settings of a document as paths and values: down to what is not a map in the defaults.
fn flatten(
    known: &Value,
    found: Value,
    path: &mut Vec<String>,
    into: &mut Vec<(Vec<String>, Value)>,
    from: &str,
) -> Result<(), ConfigError> {
    match (known, found) {
        (Value::Object(inner), Value::Object(found)) if !inner.is_empty() => {
            for (key, found) in found {
                path.push(key);
                let known = lookup(known, path.get(path.len() - 1..).unwrap_or_default(), from)
                    .map_err(|error| under(path.get(..path.len() - 1).unwrap_or_default(), error))?;
                flatten(known, found, path, into, from)?;
                path.pop();
            }
        }
        // `mq:` with nothing below it: somebody commented the settings out.
        (Value::Object(_), Value::Null) => {}
        (_, found) => into.push((path.clone(), found)),
    }
    Ok(())
}

/// The default at a path.
fn lookup<'a>(known: &'a Value, path: &[String], from: &str) -> Result<&'a Value, ConfigError> {
    let mut at = known;
    for (depth, key) in path.iter().enumerate() {
        match at {
            Value::Object(inner) if inner.is_empty() => return Ok(&Value::Null),
            Value::Null => return Ok(&Value::Null),
            _ => {}
        }
        at = at.get(key).ok_or_else(|| {
            let before = path.get(..depth).unwrap_or_default();
            let full =
                |key: &str| before.iter().map(String::as_str).chain([key]).collect::<Vec<_>>().join(".");
            let keys = || at.as_object().into_iter().flat_map(|inner| inner.keys().map(String::as_str));
            ConfigError::Unknown {
                key: full(key),
                from: from.to_owned(),
                nearest: nearest(key, keys()).map(full),
                known: keys().map(full).collect(),
            }
        })?;
    }
    Ok(at)
}

/// An error from further down, with the path to there.
fn under(before: &[String], error: ConfigError) -> ConfigError {
    let full = |key: String| before.iter().cloned().chain([key]).collect::<Vec<_>>().join(".");
    match error {
        ConfigError::Unknown { key, from, nearest, known } => ConfigError::Unknown {
            key: full(key),
            from,
            nearest: nearest.map(&full),
            known: known.into_iter().map(&full).collect(),
        },
        other => other,
    }
}

fn try_set<T: DeserializeOwned>(
    value: &mut Value,
    path: &[String],
    setting: Value,
    from: &str,
) -> Result<(), ConfigError> {
    let mut next = value.clone();
    let mut at = &mut next;
    for key in path {
        if !at.is_object() {
            *at = Value::Object(serde_json::Map::new());
        }
        let Value::Object(map) = at else { return Ok(()) };
        at = map.entry(key.clone()).or_insert(Value::Null);
    }
    *at = setting;
    match read::<T>(next.clone(), from) {
        Ok(_) => {
            *value = next;
            Ok(())
        }
        Err(ConfigError::Malformed { reason, .. }) => {
            Err(ConfigError::Value { key: path.join("."), from: from.to_owned(), reason })
        }
        Err(error) => Err(error),
    }
}
