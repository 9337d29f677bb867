//! Owns shards: acquires, consumes, hands on, commits, releases. One task, one consumer for all shards.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gochat_chassis::Shutdown;
use gochat_coord::{Change, Member, Ownership};
use gochat_core::{Epoch, Slot};
use gochat_member::SlotMeter;
use gochat_mq::{Consumed, Consumer};
use gochat_proto::events::Downstream;
use gochat_proto::gateway::{Deliver, HomeMessage, ShardReleased, home_message};
use prost::Message as _;
use rand::RngExt as _;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::table::{EdgeIx, Routed};
use super::{Home, Pusher};

const POLL: usize = 500;
const COMMIT_EVERY: Duration = Duration::from_millis(500);
const COMMIT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long consumption waits for edges that have not attached: they will be late and sync.
const ATTACH_WAIT: Duration = Duration::from_secs(1);
/// How long one slow edge may hold up all others.
const EDGE_PATIENCE: Duration = Duration::from_millis(500);

/// The shards' owner.
pub(crate) struct ShardConsumer {
    pub(crate) home: Arc<Home>,
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) ownership: Ownership,
    /// All gateways: each of them may hold users of any shard.
    pub(crate) gateways: watch::Receiver<Arc<Vec<Member>>>,
    pub(crate) pusher: Option<Pusher>,
    pub(crate) meter: SlotMeter,
}

impl ShardConsumer {
    /// Works until `stop` begins; then releases everything.
    pub(crate) async fn run(mut self, stop: Shutdown) {
        // Each starts in a task of its own: a release waits for the consumer, which a start may hold meanwhile.
        let mut shards: HashMap<Slot, JoinHandle<()>> = HashMap::new();
        let mut offsets = Offsets::default();
        let mut commit = tokio::time::interval(COMMIT_EVERY);
        commit.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                change = self.ownership.next() => match change {
                    Change::Acquire(slot, epoch) => {
                        let start = start(Arc::clone(&self.home), Arc::clone(&self.consumer), self.gateways.clone(), slot);
                        shards.insert(slot, tokio::spawn(start));
                        self.meter.own(slot);
                        self.home.set_epoch(epoch.0);
                    }
                    Change::Release(slot, epoch) => {
                        self.release(slot, epoch, shards.remove(&slot), &mut offsets).await;
                    }
                },
                polled = self.consumer.poll(POLL), if !shards.is_empty() => match polled {
                    Ok(records) => self.hand_on(records, &mut offsets).await,
                    Err(error) => {
                        tracing::warn!(%error, "downstream can't be read");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                },
                _ = commit.tick() => {
                    offsets.begin(&self.consumer);
                    self.home.count_users();
                }
                () = stop.wait() => break,
            }
        }
        let epoch = Epoch(self.home.epoch());
        for (slot, start) in shards {
            self.release(slot, epoch, Some(start), &mut offsets).await;
        }
    }

    async fn release(
        &mut self,
        slot: Slot,
        epoch: Epoch,
        start: Option<JoinHandle<()>>,
        offsets: &mut Offsets,
    ) {
        if let Some(start) = start {
            start.abort();
            // Over, or it could assign what is given up here.
            let _ = start.await;
        }
        if let Err(error) = self.consumer.unassign(slot.0).await {
            tracing::warn!(shard = slot.0, %error, "partition can't be unassigned");
        }
        offsets.commit(&self.consumer).await;
        offsets.forget(slot);
        let edges = self.home.table(slot.0).map(|table| table.lock().release()).unwrap_or_default();
        let released = ShardReleased { shard: slot.0, epoch: epoch.0 };
        for edge in edges.into_iter().filter_map(|edge| self.home.edge(edge)) {
            edge.answer(HomeMessage { message: Some(home_message::Message::ShardReleased(released)) });
        }
        self.meter.disown(slot);
        self.ownership.released(slot).await;
        tracing::info!(shard = slot.0, epoch = epoch.0, "shard released");
    }

    async fn hand_on(&self, records: Vec<Consumed>, offsets: &mut Offsets) {
        self.home.metrics.downstream_records.increment(records.len() as u64);
        for record in records {
            let slot = Slot(record.partition);
            self.meter.count(slot, 1, record.payload.len() as u64);
            offsets.done(slot, record.offset);
            let traceparent =
                record.headers.iter().find(|(name, _)| name == "traceparent").map(|(_, value)| value);
            let traceparent =
                traceparent.and_then(|v| std::str::from_utf8(v).ok()).map(str::to_owned).unwrap_or_default();
            match Downstream::decode(record.payload) {
                Ok(event) => self.deliver(slot, event, traceparent).await,
                // Ours alone to read, and history has what it was about: nobody can do more with it.
                Err(error) => {
                    tracing::error!(shard = slot.0, offset = record.offset, %error, "undecodable record dropped");
                }
            }
        }
    }

    async fn deliver(&self, slot: Slot, event: Downstream, traceparent: String) {
        let Some(table) = self.home.table(slot.0) else { return };
        // A revocation names its user, and may have no recipient of a frame.
        let revoked = event.revoke.iter().map(|r| r.user_id).filter(|u| !event.recipients.contains(u));
        let recipients: Vec<u64> = event.recipients.iter().copied().chain(revoked).collect();
        let Routed { by_edge, offline } = table.lock().route(&recipients);
        if let (Some(pusher), Some(hint), false) = (&self.pusher, event.push, offline.is_empty()) {
            pusher.push(hint, offline);
        }
        let last = by_edge.len().saturating_sub(1);
        let mut event = Some(event);
        for (i, (edge, recipients)) in by_edge.into_iter().enumerate() {
            // The frames are shared bytes: a copy for each edge costs its recipients only. The last takes the original.
            let record = if i == last { event.take() } else { event.as_ref().map(without_recipients) };
            let record = record.map(|record| Downstream { recipients, push: None, ..record });
            let message = Deliver { record, shard: slot.0, traceparent: traceparent.clone() };
            self.relay(edge, message).await;
        }
    }

    async fn relay(&self, edge: EdgeIx, deliver: Deliver) {
        let Some(edge) = self.home.edge(edge) else { return };
        let hops = if edge.local { &self.home.metrics.local_hops } else { &self.home.metrics.relay_hops };
        hops.increment(1);
        edge.push(HomeMessage { message: Some(home_message::Message::Deliver(deliver)) }, EDGE_PATIENCE)
            .await;
    }
}

fn without_recipients(event: &Downstream) -> Downstream {
    Downstream {
        recipients: Vec::new(),
        frame: event.frame.clone(),
        origin: event.origin.clone(),
        origin_frame: event.origin_frame.clone(),
        push: None,
        revoke: event.revoke,
        ephemeral: event.ephemeral,
    }
}

/// Waits for the edges, opens the table and assigns the partition; tries until it is called off.
async fn start(
    home: Arc<Home>,
    consumer: Arc<Consumer>,
    gateways: watch::Receiver<Arc<Vec<Member>>>,
    slot: Slot,
) {
    let waited = tokio::time::timeout(ATTACH_WAIT, home.all_attached(slot, gateways)).await;
    if waited.is_err() {
        tracing::warn!(
            shard = slot.0,
            "consumption starts although not every gateway has attached the shard"
        );
    }
    if let Some(table) = home.table(slot.0) {
        let notices = table.lock().open();
        home.notify(notices);
    }
    loop {
        match consumer.assign(slot.0).await {
            Ok(offset) => {
                tracing::info!(shard = slot.0, offset, "shard is consumed here");
                return;
            }
            Err(error) => tracing::warn!(shard = slot.0, %error, "partition can't be assigned, trying again"),
        }
        let pause = rand::rng().random_range(200..1000);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

impl Home {
    /// Until every living gateway has attached the shard.
    async fn all_attached(&self, slot: Slot, mut gateways: watch::Receiver<Arc<Vec<Member>>>) {
        loop {
            let attached = self.attached.notified();
            tokio::pin!(attached);
            attached.as_mut().enable();
            let living = Arc::clone(&gateways.borrow_and_update());
            let there = self.attached_edges(slot);
            if living.iter().all(|gateway| there.iter().any(|edge| edge == gateway.id.as_str())) {
                return;
            }
            tokio::select! {
                () = attached => {}
                changed = gateways.changed() => if changed.is_err() { return },
            }
        }
    }

    fn attached_edges(&self, slot: Slot) -> Vec<String> {
        let Some(table) = self.table(slot.0) else { return Vec::new() };
        let edges = table.lock().attached().to_vec();
        edges.into_iter().filter_map(|edge| self.edge(edge)).map(|edge| edge.name().to_owned()).collect()
    }
}

/// What was handed on and not committed yet.
#[derive(Default)]
struct Offsets {
    /// Partition → next offset.
    next: HashMap<u32, u64>,
    /// One commit at most, which gives back what it could not commit; no message waits for the broker's answer.
    under_way: JoinSet<HashMap<u32, u64>>,
}

impl Offsets {
    fn done(&mut self, slot: Slot, offset: u64) {
        self.next.insert(slot.0, offset + 1);
    }

    fn forget(&mut self, slot: Slot) {
        self.next.remove(&slot.0);
    }

    /// Begins to commit, where the commit before is over.
    fn begin(&mut self, consumer: &Arc<Consumer>) {
        if let Some(Ok(left)) = self.under_way.try_join_next() {
            self.keep(left);
        }
        if self.under_way.is_empty() && !self.next.is_empty() {
            self.under_way.spawn(commit(Arc::clone(consumer), std::mem::take(&mut self.next)));
        }
    }

    /// Commits all there is.
    async fn commit(&mut self, consumer: &Arc<Consumer>) {
        while let Some(ended) = self.under_way.join_next().await {
            self.keep(ended.unwrap_or_default());
        }
        let left = commit(Arc::clone(consumer), std::mem::take(&mut self.next)).await;
        self.keep(left);
    }

    /// What can't be committed now is committed later, or handed on again by a successor.
    fn keep(&mut self, left: HashMap<u32, u64>) {
        for (partition, next) in left {
            self.next.entry(partition).or_insert(next);
        }
    }
}

/// What is left.
async fn commit(consumer: Arc<Consumer>, next: HashMap<u32, u64>) -> HashMap<u32, u64> {
    if next.is_empty() {
        return next;
    }
    let offsets: Vec<_> = next.iter().map(|(partition, offset)| (*partition, *offset)).collect();
    match tokio::time::timeout(COMMIT_TIMEOUT, consumer.commit(&offsets)).await {
        Ok(Ok(())) => return HashMap::new(),
        Ok(Err(error)) => tracing::warn!(%error, "offsets can't be committed yet"),
        Err(_) => tracing::warn!("committing offsets takes too long"),
    }
    next
}
