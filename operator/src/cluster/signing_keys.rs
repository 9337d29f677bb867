//! The keys that tokens are signed with, where the person has none of her own: made once, kept over every re-apply, followed
//! by new ones where `auth.keyRotation` asks for it.
//!
//! The secret holds `kid: base64` lines: the first signs, all verify. A key's id is the time it was made, so the secret itself
//! says what is due. A new key first verifies and signs only after [`LEAD`]: by then every pod has read it (a kubelet takes a
//! minute or two to bring a changed secret into a pod). An old one verifies until what it has signed is over.
//!
//! The values go from the random generator into the secret, and from there into pods: never into a log, an Event, a status or
//! an object that is rendered.
//!
//! # Guarantees
//! - The secret is created or replaced as it was read, never applied: two operators can't overwrite each other's keys.
//! - A secret of that name that the operator did not make is left alone, and used.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use gochat_crds::{DeletionPolicy, GoChatCluster, Span};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::civil::DateTime;
use k8s_openapi::jiff::tz::TimeZone;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Resource as _, ResourceExt as _};
use rand::RngExt as _;

use super::ClusterKey;
use super::apply::is_terminating;
use super::dereference::SecretFacts;
use super::reconcile::{Context, Error};
use crate::names;

/// How long a new key verifies before it signs.
const LEAD: Duration = Duration::from_secs(600);
/// Life of a session where the spec says nothing: as logic has it.
const SESSION: Span = Span::seconds(720 * 3600);
/// 256 bits.
const BYTES: usize = 32;
/// A key's id: when it was made. No colon: that is what ends it.
const FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// What is there.
    pub(super) facts: Option<SecretFacts>,
    /// For an Event.
    pub(super) note: Option<String>,
    /// When the next key is due.
    pub(super) due: Option<Duration>,
    /// The namespace is being deleted: they can't be made any more.
    pub(super) terminating: bool,
}

/// Makes them, or what is due of them. `write` is false while the cluster is paused.
pub(super) async fn keep(
    context: &Context,
    key: &ClusterKey,
    cluster: &GoChatCluster,
    write: bool,
) -> Result<Kept, Error> {
    if cluster.spec.auth.keys_secret.is_some() {
        return Ok(Kept::default());
    }
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &key.namespace);
    let name = names::signing_keys(&key.name);
    let failed = |error| Error::kube(format!("signing keys {name}"), error);
    let now = Timestamp::now();
    let rotation = cluster.spec.auth.key_rotation.map(|span| span.0);
    let lifetime = cluster.spec.auth.session_ttl.unwrap_or(SESSION).0;
    let Some(there) = api.get_opt(&name).await.map_err(failed)? else {
        if !write {
            return Ok(Kept::default());
        }
        let secret = Secret {
            metadata: metadata(key, cluster, name.clone()),
            data: Some(data(&[Key::new(now)])),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        };
        let made = match api.create(&PostParams::default(), &secret).await {
            Err(kube::Error::Api(status)) if is_terminating(&status) => {
                return Ok(Kept { terminating: true, ..Kept::default() });
            }
            made => made.map_err(failed)?,
        };
        let note = Some(format!("made {name}, with one key of 256 bits"));
        return Ok(Kept { facts: Some(facts(&made)), note, due: rotation, terminating: false });
    };
    let kept = Kept { facts: Some(facts(&there)), ..Kept::default() };
    let ours = there.labels().get(names::APP_MANAGED_BY).is_some_and(|by| by == names::FIELD_MANAGER);
    let Some(keys) = read(&there).filter(|_| ours && write) else { return Ok(kept) };
    let next = next(&keys, now, rotation, lifetime);
    let wanted = metadata(key, cluster, name.clone());
    let same_owners = there.owner_references() == wanted.owner_references.as_deref().unwrap_or_default();
    let due = due(&next, now, rotation);
    if next == keys && same_owners {
        return Ok(Kept { due, ..kept });
    }
    let note = (next != keys).then(|| {
        let ids: Vec<_> = next.iter().map(Key::id).collect();
        format!("{name}: {} signs, {} in all verify", ids.first().cloned().unwrap_or_default(), ids.len())
    });
    let mut secret = there;
    secret.data = Some(data(&next));
    secret.metadata.owner_references = wanted.owner_references;
    secret.metadata.managed_fields = None;
    api.replace(&name, &PostParams::default(), &secret).await.map_err(failed)?;
    Ok(Kept { note, due, ..kept })
}

/// One key. Its value is never shown.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    made: Timestamp,
    value: String,
}

impl Key {
    fn new(made: Timestamp) -> Self {
        let mut bytes = [0; BYTES];
        rand::rng().fill(&mut bytes);
        // The id has whole seconds.
        let made = Timestamp::from_second(made.as_second()).unwrap_or(made);
        Self { made, value: BASE64_STANDARD.encode(bytes) }
    }

    fn id(&self) -> String {
        self.made.strftime(FORMAT).to_string()
    }

    fn signs_from(&self) -> Timestamp {
        self.made.saturating_add(LEAD).unwrap_or(self.made)
    }
}

fn parse(line: &str) -> Option<Key> {
    let (id, value) = line.split_once(':')?;
    let made = DateTime::strptime(FORMAT, id.trim()).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(Key { made, value: value.trim().to_owned() })
}

/// The keys of a secret; `None` where somebody has written another kind of line, which is then theirs.
fn read(secret: &Secret) -> Option<Vec<Key>> {
    let ByteString(bytes) = secret.data.as_ref()?.get(names::KEYS)?;
    std::str::from_utf8(bytes).ok()?.lines().map(parse).collect()
}

/// What the secret should hold now: the one that signs first, then the others, the newest first.
fn next(keys: &[Key], now: Timestamp, rotation: Option<Duration>, lifetime: Duration) -> Vec<Key> {
    let mut all = keys.to_vec();
    all.sort_by_key(|key| std::cmp::Reverse(key.made));
    let newest = all.first().map(|key| key.made);
    let is_due = |made: Timestamp| rotation.is_some_and(|every| is_past(made, every, now));
    if newest.is_none_or(is_due) {
        all.insert(0, Key::new(now));
    }
    // The newest that every pod knows by now; where none is that old, the oldest.
    let signer = all.iter().position(|key| key.signs_from() <= now).unwrap_or(all.len().saturating_sub(1));
    let signs_since = all.get(signer).map(Key::signs_from);
    // What is older signed until the signer began.
    if signs_since.is_some_and(|since| is_past(since, lifetime, now)) {
        all.truncate(signer + 1);
    }
    if signer < all.len() {
        let first = all.remove(signer);
        all.insert(0, first);
    }
    all
}

/// In how long something has to be done next.
fn due(keys: &[Key], now: Timestamp, rotation: Option<Duration>) -> Option<Duration> {
    let rotation = rotation?;
    let newest = keys.iter().map(|key| key.made).max()?;
    let signs = newest.saturating_add(LEAD).ok()?;
    let at = if signs > now { signs } else { newest.saturating_add(rotation).ok()? };
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

fn is_past(since: Timestamp, after: Duration, now: Timestamp) -> bool {
    since.saturating_add(after).is_ok_and(|at| at <= now)
}

fn data(keys: &[Key]) -> BTreeMap<String, ByteString> {
    let lines = keys.iter().fold(String::new(), |lines, key| lines + &key.id() + ": " + &key.value + "\n");
    BTreeMap::from([(names::KEYS.to_owned(), ByteString(lines.into_bytes()))])
}

fn facts(secret: &Secret) -> SecretFacts {
    // Not their digests: pods read them again while they run.
    let keys = secret.data.iter().flat_map(BTreeMap::keys).cloned().collect();
    SecretFacts { keys, digests: BTreeMap::new() }
}

/// Owned by the cluster only where it is to go with it: what is not owned stays.
fn metadata(key: &ClusterKey, cluster: &GoChatCluster, name: String) -> ObjectMeta {
    let goes = cluster.spec.deletion.secrets == DeletionPolicy::Delete;
    let owner = || OwnerReference {
        block_owner_deletion: None,
        ..cluster.controller_owner_ref(&()).unwrap_or_default()
    };
    ObjectMeta {
        name: Some(name),
        namespace: Some(key.namespace.clone()),
        labels: Some(names::cluster_labels(&key.name)),
        owner_references: goes.then(|| vec![owner()]),
        ..ObjectMeta::default()
    }
}

/// Never its value.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_rotation_as_a_transcript() {
        let day = 24 * 3600;
        let (rotation, lifetime) = (Some(30 * DAY), 10 * DAY);
        let first = next(&[], at(0), rotation, lifetime);
        assert_eq!(first.len(), 1, "the first key signs at once");
        assert_eq!(first, next(&first, at(29 * day), rotation, lifetime));

        let second = next(&first, at(30 * day), rotation, lifetime);
        assert_eq!((second.len(), second[0] == first[0]), (2, true), "a new key verifies, the old one signs");
        assert_eq!(due(&second, at(30 * day), rotation), Some(LEAD));
        assert_eq!(second, next(&second, at(30 * day + 599), rotation, lifetime));

        let third = next(&second, at(30 * day + 600), rotation, lifetime);
        assert_eq!(
            (third[0] == second[1], third[1] == first[0]),
            (true, true),
            "the new key signs, the old one verifies"
        );
        assert_eq!(third, next(&third, at(40 * day + 599), rotation, lifetime));

        let fourth = next(&third, at(40 * day + 600), rotation, lifetime);
        assert_eq!(fourth, third[..1], "what the old key has signed is over");
    }

    #[test]
    fn without_a_rotation_a_key_stays() {
        let keys = next(&[], at(0), None, DAY);
        assert_eq!(keys, next(&keys, at(1_000_000_000), None, DAY));
    }

    #[test]
    fn what_is_written_is_what_is_read_and_the_keys_of_others_are_theirs() {
        let keys = next(&[Key::new(at(0))], at(10_000), Some(Duration::from_secs(5_000)), DAY);
        let secret = |data| Secret { data: Some(data), ..Secret::default() };
        assert!(read(&secret(data(&keys))).unwrap() == keys);
        let theirs = BTreeMap::from([(names::KEYS.to_owned(), ByteString(b"mine: abc=\n".to_vec()))]);
        assert!(read(&secret(theirs)).is_none());
        assert_eq!(BASE64_STANDARD.decode(&keys[0].value).unwrap().len(), BYTES);
    }
}
