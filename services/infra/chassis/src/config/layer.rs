//! One source's settings onto what is there.
//!
//! Each setting is applied on its own and the whole read again at once: so an error names one setting and its source,
//! whatever the type behind it. There are tens of settings, read once.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::suggest::nearest;
use super::{ConfigError, read};

/// One setting of a source.
struct Setting {
    path: Vec<String>,
    value: Value,
    /// Where the defaults don't show it. The type may still have it: secrets are often not serialised.
    doubt: Option<ConfigError>,
}

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
    flatten(known, known, found, &[], &mut settings, from);
    settings.into_iter().try_for_each(|setting| apply::<T>(value, setting, from))
}

/// One setting as text: a string, a YAML scalar or a flow list. What should be a list may be given with commas.
pub(super) fn scalar<T: DeserializeOwned>(
    known: &Value,
    value: &mut Value,
    path: &[String],
    text: &str,
    from: &str,
) -> Result<(), ConfigError> {
    let path = free_form(known, path);
    let (expected, doubt) = match lookup(known, &path, from) {
        Ok(expected) => (expected, None),
        Err(doubt) => (&Value::Null, Some(doubt)),
    };
    let parsed = match (expected, serde_saphyr::from_str::<Value>(text)) {
        (Value::Array(_), Ok(Value::Null)) => Value::Array(Vec::new()),
        (Value::Array(_), Ok(Value::String(items))) => {
            items.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
        }
        // What is a string by default is one as it stands, whatever YAML would make of it.
        (Value::String(_), _) | (_, Err(_)) => Value::String(text.to_owned()),
        (_, Ok(parsed)) => parsed,
    };
    let maybe_text = !parsed.is_string();
    apply::<T>(value, Setting { path: path.clone(), value: parsed, doubt }, from).or_else(|error| {
        let as_text = Setting { path, value: Value::String(text.to_owned()), doubt: None };
        if maybe_text { apply::<T>(value, as_text, from).map_err(|_| error) } else { Err(error) }
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

/// The settings of a document: down to what is not a map in the defaults.
fn flatten(root: &Value, known: &Value, found: Value, path: &[String], into: &mut Vec<Setting>, from: &str) {
    match (known, found) {
        (Value::Object(inner), Value::Object(found)) if !inner.is_empty() => {
            for (key, value) in found {
                let path = [path, &[key]].concat();
                match lookup(root, &path, from) {
                    Ok(known) => flatten(root, known, value, &path, into, from),
                    Err(doubt) => into.push(Setting { path, value, doubt: Some(doubt) }),
                }
            }
        }
        // `mq:` with nothing below it: somebody commented the settings out.
        (Value::Object(_), Value::Null) => {}
        (_, value) => into.push(Setting { path: path.to_vec(), value, doubt: None }),
    }
}

/// In a map that takes any key, the rest of a path is one key: librdkafka's `security.protocol`.
fn free_form(known: &Value, path: &[String]) -> Vec<String> {
    let mut at = Some(known);
    for depth in 0..path.len() {
        let (before, rest) = path.split_at(depth);
        if at.and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
            return [before, &[rest.join(".")]].concat();
        }
        at = rest.first().and_then(|key| at?.get(key));
    }
    path.to_vec()
}

/// The default at a path.
fn lookup<'a>(known: &'a Value, path: &[String], from: &str) -> Result<&'a Value, ConfigError> {
    let mut at = known;
    for (depth, key) in path.iter().enumerate() {
        // What is optional or takes any key is checked by its own type.
        if at.is_null() || at.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(&Value::Null);
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

fn apply<T: DeserializeOwned>(value: &mut Value, setting: Setting, from: &str) -> Result<(), ConfigError> {
    let mut next = value.clone();
    let mut at = &mut next;
    for key in &setting.path {
        if !at.is_object() {
            *at = Value::Object(serde_json::Map::new());
        }
        let Value::Object(map) = at else { return Ok(()) };
        at = map.entry(key.clone()).or_insert(Value::Null);
    }
    *at = setting.value;
    match read::<T>(next.clone(), from) {
        Ok(_) => {
            *value = next;
            Ok(())
        }
        Err(ConfigError::Malformed { reason, .. }) => Err(match setting.doubt {
            Some(doubt) if reason.contains("unknown field") || reason.contains("invalid type") => doubt,
            _ => ConfigError::Value { key: setting.path.join("."), from: from.to_owned(), reason },
        }),
        Err(error) => Err(error),
    }
}
