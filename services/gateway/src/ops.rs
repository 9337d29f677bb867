//! `ops.v1.Operations` of a gateway: as every workload's, with users, connections and sockets left.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use gochat_chassis::Shutdown;
use gochat_coord::Coord;
use gochat_core::{Slot, Workload};
use gochat_member::{Drain, LagOf, Operations, SlotMeter};
use gochat_mq::Consumer;
use gochat_proto::ops::operations_server::Operations as OperationsApi;
use gochat_proto::ops::{DrainProgress, DrainRequest, LoadReport, WatchLoadRequest};
use tonic::{Request, Response, Status, async_trait};

use crate::gateway::Gateway;
use crate::home::Home;

const PROGRESS_EVERY: Duration = Duration::from_millis(100);

pub(crate) struct GatewayOperations {
    common: Operations,
    gateway: Arc<Gateway>,
    home: Arc<Home>,
}

impl GatewayOperations {
    pub(crate) fn new(
        gateway: &Arc<Gateway>,
        home: &Arc<Home>,
        coord: &Coord,
        consumer: Arc<Consumer>,
        meter: SlotMeter,
        drain: Drain,
        shutdown: &Shutdown,
    ) -> Self {
        let lag: LagOf = Arc::new(move |slot| {
            let consumer = Arc::clone(&consumer);
            Box::pin(async move { consumer.lag(slot.0).await.ok() })
        });
        let common = Operations {
            member: home.member.clone(),
            workload: Workload::Gateway,
            slots: home.shards,
            placement: coord.placement(Workload::Gateway),
            meter,
            lag,
            drain,
            shutdown: shutdown.clone(),
        };
        Self { common, gateway: Arc::clone(gateway), home: Arc::clone(home) }
    }
}

#[async_trait]
impl OperationsApi for GatewayOperations {
    type WatchLoadStream = BoxStream<'static, Result<LoadReport, Status>>;
    type DrainStream = BoxStream<'static, Result<DrainProgress, Status>>;

    async fn watch_load(
        &self,
        request: Request<WatchLoadRequest>,
    ) -> Result<Response<Self::WatchLoadStream>, Status> {
        let (edge, home) = (Arc::clone(&self.gateway.edge), Arc::clone(&self.home));
        let reports = self.common.watch_load(request).await?.into_inner().map(move |report| {
            let mut report = report?;
            report.connections = edge.connections() as u64;
            for slot in &mut report.slots {
                slot.users = home.users(Slot(slot.slot));
            }
            Ok(report)
        });
        Ok(Response::new(reports.boxed()))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<Self::DrainStream>, Status> {
        let window_ms = request.into_inner().window_ms;
        if window_ms > 0 && !self.common.drain.has_begun() {
            *self.gateway.drain_window.lock() = Duration::from_millis(window_ms.into());
        }
        self.common.drain.begin();
        let (edge, meter) = (Arc::clone(&self.gateway.edge), self.common.meter.clone());
        let ticks = tokio::time::interval(PROGRESS_EVERY);
        let progress =
            stream::unfold((edge, meter, ticks, false), |(edge, meter, mut ticks, over)| async move {
                if over {
                    return None;
                }
                ticks.tick().await;
                let slots_left = u32::try_from(meter.owned().len()).unwrap_or(u32::MAX);
                let connections_left = edge.connections() as u64;
                let done = slots_left == 0 && connections_left == 0;
                Some((Ok(DrainProgress { slots_left, connections_left, done }), (edge, meter, ticks, done)))
            });
        Ok(Response::new(progress.boxed()))
    }
}
