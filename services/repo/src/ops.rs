//! `ops.v1.Operations` of a repo: calls in flight and how long they take. It has no slots, so there is nothing to drain.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::Stream;
use futures::stream::{self, BoxStream, StreamExt as _};
use gochat_chassis::Shutdown;
use gochat_core::{MemberId, Workload};
use gochat_member::{Usage, report_interval};
use gochat_proto::ops::operations_server::Operations;
use gochat_proto::ops::{DrainProgress, DrainRequest, LoadReport, WatchLoadRequest};
use tonic::{Request, Response, Status, async_trait};

use crate::load::{Calls, Sums};

/// The service.
#[derive(Clone)]
pub(crate) struct RepoOperations {
    pub(crate) member: MemberId,
    pub(crate) calls: Calls,
    /// Ends the streams.
    pub(crate) shutdown: Shutdown,
}

/// What a stream has reported of last.
struct Before {
    at: Instant,
    cpu: Duration,
    sums: Sums,
}

impl RepoOperations {
    fn now(&self) -> (Before, Usage) {
        let usage = Usage::now();
        (Before { at: Instant::now(), cpu: usage.cpu, sums: self.calls.read() }, usage)
    }

    fn report(&self, before: &mut Before) -> LoadReport {
        let (now, usage) = self.now();
        let load = now.sums.since(&before.sums);
        let seconds = now.at.duration_since(before.at).as_secs_f64().max(0.001);
        let cpu_cores = now.cpu.saturating_sub(before.cpu).as_secs_f64() / seconds;
        *before = now;
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        LoadReport {
            member: self.member.to_string(),
            workload: Workload::Repo.to_string(),
            at_ms: i64::try_from(at.as_millis()).unwrap_or(i64::MAX),
            messages_per_second: load.per_second,
            cpu_cores,
            resident_bytes: usage.resident_bytes,
            draining: self.shutdown.is_shutting_down(),
            calls_in_flight: load.in_flight,
            call_p99_ms: load.p99_ms,
            ..LoadReport::default()
        }
    }

    fn reports(self, every: Duration) -> impl Stream<Item = Result<LoadReport, Status>> {
        let ticks = tokio::time::interval(every);
        let before = self.now().0;
        stream::unfold((self, before, ticks), |(this, mut before, mut ticks)| async move {
            tokio::select! {
                _ = ticks.tick() => {}
                () = this.shutdown.wait() => return None,
            }
            let report = this.report(&mut before);
            Some((Ok(report), (this, before, ticks)))
        })
    }
}

#[async_trait]
impl Operations for RepoOperations {
    type WatchLoadStream = BoxStream<'static, Result<LoadReport, Status>>;
    type DrainStream = BoxStream<'static, Result<DrainProgress, Status>>;

    async fn watch_load(
        &self,
        request: Request<WatchLoadRequest>,
    ) -> Result<Response<Self::WatchLoadStream>, Status> {
        let every = report_interval(&request.into_inner());
        Ok(Response::new(self.clone().reports(every).boxed()))
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<Self::DrainStream>, Status> {
        Err(Status::unimplemented(
            "a repo holds nothing to drain: stop it, and the calls in flight end first",
        ))
    }
}
