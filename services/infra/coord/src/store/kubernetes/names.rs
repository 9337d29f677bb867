//! What a key is called among the cluster's objects.

use gochat_core::Workload;
use kube::runtime::watcher;

use crate::store::Lease;

/// Whose the object is.
pub(super) const CLUSTER: &str = "gochat.io/cluster";
/// What stands before the key's last `/`, for the views of folders.
pub(super) const FOLDER: &str = "gochat.io/key-folder";
/// Under which session it is; empty where it is to stay.
pub(super) const SESSION: &str = "gochat.io/session";
/// The annotations: the key as it is, and its value.
pub(super) const KEY: &str = "gochat.io/key";
pub(super) const VALUE: &str = "gochat.io/value";

/// The folder of the sessions' own objects.
pub(super) const SESSIONS: &str = "sessions/";

pub(super) struct Names {
    pub(super) cluster: String,
}

impl Names {
    pub(super) fn new(cluster: &str) -> Self {
        Self { cluster: cluster.to_owned() }
    }

    /// `slots/gateway/7` of the cluster `chat` is `chat.slots.gateway.7`. A part that can't stand in a name is there in
    /// hexadecimal, so that no two keys share a name.
    pub(super) fn object(&self, key: &str) -> String {
        key.split('/').fold(self.cluster.clone(), |name, part| format!("{name}.{}", label(part)))
    }

    /// The name of the operator's resource.
    pub(super) fn placement(&self, workload: Workload) -> String {
        format!("{}-{workload}", self.cluster)
    }

    /// What a view of `what` has to watch: the keys right in a folder, or one.
    pub(super) fn selector(&self, what: &str) -> watcher::Config {
        match what.strip_suffix('/') {
            Some(_) => watcher::Config::default().labels(&self.in_folder(what)),
            None => watcher::Config::default().fields(&format!("metadata.name={}", self.object(what))),
        }
    }

    pub(super) fn in_folder(&self, folder: &str) -> String {
        format!("{CLUSTER}={},{FOLDER}={}", self.cluster, folder_of(folder))
    }

    pub(super) fn under(&self, lease: Lease) -> String {
        format!("{CLUSTER}={},{SESSION}={}", self.cluster, session(lease))
    }
}

/// The value of a key's folder label.
pub(super) fn folder_of(key: &str) -> String {
    let folder = key.rsplit_once('/').map_or("", |(folder, _)| folder);
    if folder.is_empty() {
        return String::new();
    }
    folder.split('/').map(label).collect::<Vec<_>>().join(".")
}

fn label(part: &str) -> String {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let clean = part.bytes().all(|c| inner(c) || c == b'-')
        && part.bytes().next().is_some_and(inner)
        && part.bytes().last().is_some_and(inner)
        && !part.starts_with("x-");
    if clean {
        return part.to_owned();
    }
    part.bytes().fold("x-".to_owned(), |hex, byte| format!("{hex}{byte:02x}"))
        + if part.is_empty() { "0" } else { "" }
}

/// A lease as it stands in labels and names.
pub(super) fn session(lease: Lease) -> String {
    format!("{lease:016x}")
}

/// The lease that a label names; 0 where it names none.
pub(super) fn lease(session: &str) -> Lease {
    Lease::from_str_radix(session, 16).unwrap_or_default()
}

/// The key of a session's own object.
pub(super) fn session_key(lease: Lease) -> String {
    format!("{SESSIONS}{}", session(lease))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_key_can_be_recognised_by_its_objects_name() {
        let names = Names::new("chat");
        assert_eq!(names.object("slots/gateway/7"), "chat.slots.gateway.7");
        assert_eq!(names.object("members/logic/chat-logic-5c9-x2"), "chat.members.logic.chat-logic-5c9-x2");
        assert_eq!(names.object("once more"), "chat.x-6f6e6365206d6f7265");
        assert_eq!(folder_of("slots/gateway/7"), "slots.gateway");
        assert_eq!(folder_of("slots/gateway/"), "slots.gateway");
        assert_eq!(folder_of("leader"), "");
    }

    #[test]
    fn no_two_keys_share_a_name() {
        let names = Names::new("chat");
        let keys =
            ["a/b", "a.b", "A/b", "a-b", "-a", "a-", "", "a/", "/a", "a//b", "x-61", "a", "x-", "0", "ä"];
        let distinct: HashSet<String> = keys.iter().map(|key| names.object(key)).collect();
        assert_eq!(distinct.len(), keys.len(), "{distinct:?}");
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        assert!(distinct.iter().all(|name| name.chars().all(allowed) && !name.ends_with(['-', '.'])));
    }

    #[test]
    fn a_lease_survives_its_label() {
        for lease_id in [1, 0x7fff_ffff_ffff_ffff, 255] {
            assert_eq!(lease(&session(lease_id)), lease_id);
        }
        assert_eq!(lease(""), 0);
    }
}
