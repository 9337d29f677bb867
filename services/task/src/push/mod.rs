//! Push: users without a connection are notified through a webhook, which knows their devices' push services.
//!
//! It is beside the message path: a notification that can't be delivered is counted, logged and given up, and one that
//! finds the queue full is dropped. It never holds up a partition.

mod signature;
mod webhook;

use std::sync::Arc;

use gochat_chassis::Shutdown;
use gochat_proto::events::Push;
use tokio::sync::{Semaphore, mpsc};

pub(crate) use webhook::Webhook;

use crate::config::PushConfig;

/// Takes notifications; cheap to clone.
#[derive(Clone)]
pub(crate) struct Pusher(mpsc::Sender<Push>);

impl Pusher {
    /// Starts the queue's worker; `None` where no webhook is set.
    pub(crate) async fn start(config: &PushConfig, shutdown: &Shutdown) -> anyhow::Result<Option<Self>> {
        if config.url.is_empty() {
            return Ok(None);
        }
        let webhook = Arc::new(Webhook::new(config).await?);
        let (sender, receiver) = mpsc::channel(config.queue);
        shutdown.spawn("push", deliver(webhook, receiver, config.parallel, shutdown.clone()));
        Ok(Some(Self(sender)))
    }

    /// Queues a notification or drops it.
    pub(crate) fn offer(&self, mut push: Push) {
        // Who wrote the message is not told of it.
        let sender = push.hint.map_or(0, |hint| hint.sender_id);
        push.user_ids.retain(|user| *user != sender);
        if push.user_ids.is_empty() {
            return;
        }
        if self.0.try_send(push).is_err() {
            metrics::counter!("gochat_task_pushes_total", "result" => "queue_full").increment(1);
        }
    }
}

async fn deliver(
    webhook: Arc<Webhook>,
    mut queue: mpsc::Receiver<Push>,
    parallel: usize,
    shutdown: Shutdown,
) {
    let turns = Arc::new(Semaphore::new(parallel));
    loop {
        // The turn first: what waits, waits in the bounded queue.
        let Ok(turn) = turns.clone().acquire_owned().await else { return };
        let push = tokio::select! {
            push = queue.recv() => push,
            () = shutdown.wait() => return,
        };
        let Some(push) = push else { return };
        let (webhook, stop) = (webhook.clone(), shutdown.clone());
        shutdown.spawn("push-attempt", async move {
            tokio::select! {
                result = webhook.deliver(&push) => {
                    metrics::counter!("gochat_task_pushes_total", "result" => result.as_str()).increment(1);
                }
                () = stop.wait() => {}
            }
            drop(turn);
        });
    }
}
