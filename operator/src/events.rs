//! Everything that the operator decides, told to whoever asks `kubectl describe`.
//!
//! # Guarantees
//! - Nobody waits: what is told is queued, and sent by one task. Past the queue's end it is dropped and counted.
//! - The same note about the same object is told once in [`QUIET`].
//!
//! Why not kube's own recorder: it takes two Events of one reason for one, and shows the first one's note. Of two scalings
//! the second one's numbers would be lost.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Resource, ResourceExt as _};
use rand::RngExt as _;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// In which the same is not told again.
const QUIET: Duration = Duration::from_secs(600);
/// Notes that may wait.
const QUEUE: usize = 1_024;
/// Notes that are remembered.
const REMEMBERED: usize = 8_192;
/// The API server's limit of a note, in bytes.
const NOTE: usize = 1_024;

/// The one recorder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Events(mpsc::Sender<Told>);

#[derive(Debug)]
struct Told {
    about: ObjectReference,
    warning: bool,
    reason: &'static str,
    note: String,
}

impl Events {
    /// The recorder, and the task that sends; it ends with the last clone.
    pub fn new(client: Client, instance: String) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), send(client, instance, receiver))
    }

    /// Something was done.
    pub fn normal<K: Resource<DynamicType = ()>>(
        &self,
        about: &K,
        reason: &'static str,
        note: impl Into<String>,
    ) {
        self.tell(about.object_ref(&()), false, reason, note.into());
    }

    /// Something is wrong.
    pub fn warning<K: Resource<DynamicType = ()>>(
        &self,
        about: &K,
        reason: &'static str,
        note: impl Into<String>,
    ) {
        self.tell(about.object_ref(&()), true, reason, note.into());
    }

    /// As a reference.
    pub fn tell(&self, about: ObjectReference, warning: bool, reason: &'static str, note: String) {
        let about_name = about.name.clone().unwrap_or_default();
        tracing::info!(namespace = about.namespace, object = about_name, reason, note, warning, "event");
        if self.0.try_send(Told { about, warning, reason, note }).is_err() {
            metrics::counter!("gochat_operator_events_dropped_total").increment(1);
        }
    }
}

async fn send(client: Client, instance: String, mut told: mpsc::Receiver<Told>) {
    let mut recent = Recent::default();
    while let Some(next) = told.recv().await {
        if !recent.is_new(&next, Instant::now()) {
            continue;
        }
        let namespace = next.about.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let event = event(next, &instance);
        let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
        match api.create(&PostParams::default(), &event).await {
            Ok(_) => metrics::counter!("gochat_operator_events_total").increment(1),
            Err(error) => {
                metrics::counter!("gochat_operator_events_dropped_total").increment(1);
                tracing::debug!(event = event.name_any(), %error, "the event was not taken");
            }
        }
    }
}

fn event(told: Told, instance: &str) -> Event {
    let name = told.about.name.clone().unwrap_or_default();
    let mut note = told.note;
    if note.len() > NOTE {
        let end = (0..=NOTE - 3).rev().find(|at| note.is_char_boundary(*at)).unwrap_or_default();
        note.truncate(end);
        note.push('…');
    }
    Event {
        metadata: ObjectMeta {
            namespace: told.about.namespace.clone(),
            // As client-go names them, but that two at the same time don't collide.
            name: Some(format!("{name}.{:016x}", rand::rng().random::<u64>())),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(Timestamp::now())),
        action: Some(told.reason.to_owned()),
        reason: Some(told.reason.to_owned()),
        note: Some(note),
        regarding: Some(told.about),
        reporting_controller: Some("gochat.io/operator".to_owned()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(if told.warning { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    }
}

/// What was told lately.
#[derive(Default)]
struct Recent(HashMap<u64, Instant>);

impl Recent {
    fn is_new(&mut self, told: &Told, now: Instant) -> bool {
        let mut hasher = DefaultHasher::new();
        (&told.about.uid, &told.about.namespace, &told.about.name, told.reason, &told.note).hash(&mut hasher);
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, at| now.duration_since(*at) < QUIET);
        }
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        let before = self.0.insert(hasher.finish(), now);
        before.is_none_or(|at| now.duration_since(at) >= QUIET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(note: &str) -> Told {
        Told { about: ObjectReference::default(), warning: false, reason: "Scaled", note: note.to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_is_told_once_and_other_numbers_are_told() {
        let mut recent = Recent::default();
        assert!(recent.is_new(&told("3 → 5"), Instant::now()));
        assert!(!recent.is_new(&told("3 → 5"), Instant::now()));
        assert!(recent.is_new(&told("5 → 6"), Instant::now()));
        tokio::time::advance(QUIET).await;
        assert!(recent.is_new(&told("3 → 5"), Instant::now()));
    }

    #[test]
    fn a_note_that_is_too_long_is_cut_between_characters() {
        let event = event(told(&"→".repeat(1_000)), "one");
        assert!(event.note.is_some_and(|note| note.len() <= NOTE && note.ends_with('…')));
    }
}
