//! One stream of load reports a member: only the last report is kept.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gochat_chassis::resilience::Backoff;
use gochat_proto::ops::operations_client::OperationsClient;
use gochat_proto::ops::{LoadReport, WatchLoadRequest};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Endpoint;

/// How often a member reports.
const INTERVAL: Duration = Duration::from_secs(2);
/// A report that is older says nothing any more; also when a silent stream is given up.
const FRESH: Duration = Duration::from_secs(15);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A member is called again as long as it is there; not more often than this.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(15) };
/// How much of a new rate is believed: two reports out of three make a change. A single second's burst moves nothing.
const WEIGHT: f64 = 0.5;

/// A report, and when it came.
#[derive(Clone, Debug)]
pub struct Heard {
    /// With its rates smoothed.
    pub report: Arc<LoadReport>,
    /// When it came.
    pub at: Instant,
}

/// The stream of one member; ends when dropped.
#[derive(Debug)]
pub struct Link {
    /// Where it serves `ops.v1`.
    pub address: SocketAddr,
    /// Tells it from a later one of its name.
    pub uid: String,
    heard: Arc<Mutex<Option<Heard>>>,
    task: AbortHandle,
}

impl Link {
    /// Begins to listen. `changed` is told of what should not wait for the next look: slots, epoch, a drain.
    pub fn open(address: SocketAddr, uid: String, changed: Arc<Notify>) -> Self {
        let heard = Arc::default();
        let task = tokio::spawn(listen(address, Arc::clone(&heard), changed)).abort_handle();
        Self { address, uid, heard, task }
    }

    /// The last report, where it is fresh.
    pub fn fresh(&self, now: Instant) -> Option<Heard> {
        self.heard.lock().clone().filter(|heard| now.duration_since(heard.at) < FRESH)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(address: SocketAddr, heard: Arc<Mutex<Option<Heard>>>, changed: Arc<Notify>) {
    let mut failures = 0;
    loop {
        let before = heard.lock().as_ref().map(|heard| heard.at);
        let ended = stream(address, &heard, &changed).await;
        if heard.lock().as_ref().map(|heard| heard.at) != before {
            failures = 0;
        }
        let wait = BACKOFF.delay(failures);
        failures = failures.saturating_add(1);
        tracing::debug!(%address, why = ended.err(), ?wait, "a load report ended");
        sleep(wait).await;
    }
}

async fn stream(address: SocketAddr, heard: &Mutex<Option<Heard>>, changed: &Notify) -> Result<(), String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|e| e.to_string())?;
    let channel = endpoint.connect_timeout(CONNECT_WITHIN).connect().await.map_err(|e| e.to_string())?;
    let interval_ms = u32::try_from(INTERVAL.as_millis()).unwrap_or_default();
    let mut client = OperationsClient::new(channel);
    let silent = |_| "nothing was heard".to_owned();
    let call = client.watch_load(WatchLoadRequest { interval_ms });
    let response = timeout(CONNECT_WITHIN, call).await.map_err(silent)?;
    let mut reports = response.map_err(|status| status.message().to_owned())?.into_inner();
    while let Some(report) = timeout(FRESH, reports.message())
        .await
        .map_err(silent)?
        .map_err(|status| status.message().to_owned())?
    {
        if note(heard, report) {
            changed.notify_one();
        }
    }
    Ok(())
}

/// Keeps a report; says whether somebody should look at once.
fn note(heard: &Mutex<Option<Heard>>, mut report: LoadReport) -> bool {
    let mut heard = heard.lock();
    let urgent = match heard.as_ref() {
        Some(before) => {
            smooth(&before.report, &mut report);
            let slots = |report: &LoadReport| report.slots.iter().map(|s| s.slot).collect::<Vec<_>>();
            let before = &before.report;
            (before.epoch, before.draining) != (report.epoch, report.draining)
                || slots(before) != slots(&report)
        }
        None => true,
    };
    *heard = Some(Heard { report: Arc::new(report), at: Instant::now() });
    urgent
}

fn smooth(before: &LoadReport, report: &mut LoadReport) {
    let known: std::collections::HashMap<_, _> = before.slots.iter().map(|slot| (slot.slot, slot)).collect();
    for slot in &mut report.slots {
        if let Some(known) = known.get(&slot.slot) {
            let mean = |old: f64, new: f64| old + WEIGHT * (new - old);
            slot.records_per_second = mean(known.records_per_second, slot.records_per_second);
            slot.bytes_per_second = mean(known.bytes_per_second, slot.bytes_per_second);
        }
    }
}

#[cfg(test)]
mod tests {
    use gochat_proto::ops::SlotLoad;

    use super::*;

    #[test]
    fn a_burst_counts_half_and_a_new_set_of_slots_is_looked_at_at_once() {
        let heard = Mutex::new(None);
        let report = |slots: &[(u32, f64)]| LoadReport {
            slots: slots
                .iter()
                .map(|&(slot, records_per_second)| SlotLoad {
                    slot,
                    records_per_second,
                    ..SlotLoad::default()
                })
                .collect(),
            ..LoadReport::default()
        };
        assert!(note(&heard, report(&[(0, 100.0), (1, 0.0)])));
        assert!(!note(&heard, report(&[(0, 300.0), (1, 0.0)])));
        let kept =
            |heard: &Mutex<Option<Heard>>| heard.lock().clone().map(|heard| heard.report.slots.clone());
        assert_eq!(
            kept(&heard).map(|slots| slots.iter().map(|s| s.records_per_second).sum::<f64>()),
            Some(200.0)
        );
        assert!(note(&heard, report(&[(0, 200.0)])));
    }
}
