//! The API server's audit log: one JSON event a line, level Metadata.

use std::collections::HashSet;
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde::Deserialize;

/// One request to the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asked, e.g. `admin` or `system:serviceaccount:gochat:operator`.
    pub user: String,
    /// As RBAC names it: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for a path
    /// that is no resource, the HTTP method in lower case.
    pub verb: String,
    /// API group; empty for the core group and for what is no resource.
    pub group: String,
    /// In the plural, as in RBAC; empty for what is no resource.
    pub resource: String,
    /// E.g. `status`.
    pub subresource: Option<String>,
    /// None for what has no namespace, and for a request that spans all.
    pub namespace: Option<String>,
    /// None for a request that spans many, and for a `create`.
    pub name: Option<String>,
    /// Path and query.
    pub uri: String,
    /// Of the client.
    pub user_agent: String,
    /// The HTTP status it was answered with.
    pub code: u16,
    /// When it came in.
    pub at: SystemTime,
}

impl Request {
    /// Whether it asked for a change; also where it was refused, or changed nothing.
    pub fn is_write(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
    }
}

/// Reads the log. A long-running request has two events: the first tells all that is asked here, and for a watch that
/// goes on it is the only one.
pub(super) fn requests(log: &str) -> Result<Vec<Request>> {
    let mut seen = HashSet::new();
    let mut requests = Vec::new();
    // The last line may still be in writing.
    for line in log.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let event: Event = serde_json::from_str(line).with_context(|| format!("audit event {line}"))?;
        if seen.insert(event.audit_id.clone()) {
            requests.push(event.into_request()?);
        }
    }
    Ok(requests)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "auditID")]
    audit_id: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    object_ref: Option<ObjectRef>,
    response_status: Option<Status>,
    request_received_timestamp: String,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRef {
    #[serde(default)]
    api_group: String,
    #[serde(default)]
    resource: String,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl Event {
    fn into_request(self) -> Result<Request> {
        let object = self.object_ref.unwrap_or_default();
        let at = humantime::parse_rfc3339(&self.request_received_timestamp)
            .with_context(|| format!("timestamp {}", self.request_received_timestamp))?;
        Ok(Request {
            user: self.user.username,
            verb: self.verb,
            group: object.api_group,
            resource: object.resource,
            subresource: object.subresource,
            namespace: object.namespace,
            name: object.name,
            uri: self.request_uri,
            user_agent: self.user_agent,
            code: self.response_status.unwrap_or_default().code,
            at,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"kind":"Event","level":"Metadata","auditID":"@ID","stage":"@STAGE","requestURI":"/apis/apps/v1/deployments?watch=true","verb":"watch","user":{"username":"admin"},"sourceIPs":["127.0.0.1"],"objectRef":{"resource":"deployments","apiGroup":"apps","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-01-02T03:04:05.123456Z","stageTimestamp":"2026-01-02T03:04:05.123456Z"}"#;

    fn event(id: &str, stage: &str) -> String {
        EVENT.replace("@ID", id).replace("@STAGE", stage) + "\n"
    }

    #[test]
    fn a_watch_counts_once_whether_it_goes_on_or_has_ended() {
        let log =
            event("a", "ResponseStarted") + &event("b", "ResponseStarted") + &event("a", "ResponseComplete");
        let requests = requests(&log).unwrap();
        assert_eq!(requests.len(), 2);
        assert_eq!((requests[0].group.as_str(), requests[0].resource.as_str()), ("apps", "deployments"));
        assert_eq!((requests[0].code, requests[0].name.as_deref()), (200, None));
        assert!(!requests[0].is_write());
    }

    #[test]
    fn a_line_still_in_writing_is_left_for_the_next_look() {
        let log = event("a", "ResponseComplete") + r#"{"kind":"Event","level":"Met"#;
        assert_eq!(requests(&log).unwrap().len(), 1);
    }
}
