//! `ops.v1.Operations` for a workload whose slots are partitions.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::Stream;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use gochat_chassis::Shutdown;
use gochat_core::{MemberId, Placement, Slot, SlotCount, Workload};
use gochat_proto::ops;
use tokio::sync::watch;
use tonic::{Request, Response, Status, async_trait};

use crate::load::{Rates, SlotMeter, Usage};

/// Records that wait in a slot; `None` where that is not known now.
pub type LagOf = Arc<dyn Fn(Slot) -> BoxFuture<'static, Option<u64>> + Send + Sync>;

/// Whether this member is being emptied; cheap to clone. Never goes back.
#[derive(Clone)]
pub struct Drain(Arc<watch::Sender<bool>>);

impl Default for Drain {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Drain {
    /// Not yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for it; again is the same.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was asked for.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is asked for.
    pub async fn wait(&self) {
        // The sender lives in `self`: the wait can't fail.
        let _ = self.0.subscribe().wait_for(|begun| *begun).await;
    }
}

/// The service.
#[derive(Clone)]
pub struct Operations {
    /// Who reports.
    pub member: MemberId,
    /// What it is a member of.
    pub workload: Workload,
    /// Of that workload.
    pub slots: SlotCount,
    /// The placement obeyed.
    pub placement: watch::Receiver<Arc<Placement>>,
    /// What the slots do.
    pub meter: SlotMeter,
    /// What they have before them.
    pub lag: LagOf,
    /// Set by the Drain call; acted on by the service.
    pub drain: Drain,
    /// Ends the streams.
    pub shutdown: Shutdown,
}

impl Operations {
    async fn report(&self, rates: &mut Rates) -> ops::LoadReport {
        let (by_slot, cpu_cores) = rates.read(&self.meter);
        let owned = self.meter.owned();
        let lags = futures::future::join_all(owned.iter().map(|slot| (self.lag)(*slot))).await;
        let slots: Vec<_> = owned
            .iter()
            .zip(lags)
            .map(|(slot, lag)| {
                let (records, bytes) = by_slot.get(slot.index()).copied().unwrap_or_default();
                ops::SlotLoad {
                    slot: slot.0,
                    records_per_second: records,
                    bytes_per_second: bytes,
                    lag: lag.unwrap_or_default(),
                    users: 0,
                }
            })
            .collect();
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        ops::LoadReport {
            member: self.member.to_string(),
            workload: self.workload.to_string(),
            epoch: self.placement.borrow().epoch.0,
            at_ms: i64::try_from(at.as_millis()).unwrap_or(i64::MAX),
            messages_per_second: slots.iter().map(|slot| slot.records_per_second).sum(),
            slots,
            cpu_cores,
            resident_bytes: Usage::now().resident_bytes,
            draining: self.drain.has_begun(),
            // Connections and calls: what others have.
            ..ops::LoadReport::default()
        }
    }

    fn reports(self, every: Duration) -> impl Stream<Item = Result<ops::LoadReport, Status>> {
        let rates = Rates::start(self.slots, &self.meter);
        let ticks = tokio::time::interval(every);
        stream::unfold((self, rates, ticks), |(this, mut rates, mut ticks)| async move {
            tokio::select! {
                _ = ticks.tick() => {}
                () = this.shutdown.wait() => return None,
            }
            let report = this.report(&mut rates).await;
            Some((Ok(report), (this, rates, ticks)))
        })
    }

    fn progress(self) -> impl Stream<Item = Result<ops::DrainProgress, Status>> {
        let ticks = tokio::time::interval(Duration::from_millis(100));
        stream::unfold((self, ticks, false), |(this, mut ticks, done)| async move {
            if done {
                return None;
            }
            ticks.tick().await;
            let slots_left = u32::try_from(this.meter.owned().len()).unwrap_or(u32::MAX);
            let done = slots_left == 0;
            Some((Ok(ops::DrainProgress { slots_left, connections_left: 0, done }), (this, ticks, done)))
        })
    }
}

/// How often a load report is asked for: 0.5 to 60 s, 5 s where the request does not say.
pub fn report_interval(request: &ops::WatchLoadRequest) -> Duration {
    Duration::from_millis(match request.interval_ms {
        0 => 5_000,
        ms => ms.clamp(500, 60_000).into(),
    })
}

#[async_trait]
impl ops::operations_server::Operations for Operations {
    type WatchLoadStream = stream::BoxStream<'static, Result<ops::LoadReport, Status>>;
    type DrainStream = stream::BoxStream<'static, Result<ops::DrainProgress, Status>>;

    async fn watch_load(
        &self,
        request: Request<ops::WatchLoadRequest>,
    ) -> Result<Response<Self::WatchLoadStream>, Status> {
        let every = report_interval(&request.into_inner());
        Ok(Response::new(self.clone().reports(every).boxed()))
    }

    async fn drain(&self, _: Request<ops::DrainRequest>) -> Result<Response<Self::DrainStream>, Status> {
        tracing::info!(member = %self.member, "drain asked for");
        self.drain.begin();
        Ok(Response::new(self.clone().progress().boxed()))
    }
}
