//! The handle that services share, and the task that keeps its worker.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gochat_coord::{Coord, CoordError};
use parking_lot::Mutex;
use rand::RngExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use crate::UidError;
use crate::layout::EPOCH_MS;
use crate::sequence::{Sequence, Stall};
use crate::worker::{RENEW_EVERY, Renewal, Worker};

/// How long [`Snowflake::lease`] tries where coordination is away.
const LEASE_WITHIN: Duration = Duration::from_secs(10);
/// How long [`Snowflake::next`] waits for a bound that is being raised, as after a pause of the process.
const RENEWAL_WITHIN: Duration = Duration::from_millis(100);

/// Makes ids of 41 bits of milliseconds, 10 of worker, 12 of sequence; never 0. Cheap to clone; the worker is given
/// back when the last clone is dropped.
#[derive(Clone)]
pub struct Snowflake {
    shared: Arc<Shared>,
    _keeper: Arc<DropGuard>,
}

struct Shared {
    /// `None` while no worker is held. A lock is enough: 4,096 ids a millisecond leave 244 ns for each.
    sequence: Mutex<Option<Sequence>>,
    /// The bound is reached: raise it now.
    renew: Notify,
    /// Counts raised bounds and new workers.
    renewed: watch::Sender<u64>,
}

impl Snowflake {
    /// Leases a worker id and makes ids as that worker.
    ///
    /// # Errors
    /// Where coordination is still away after ten seconds, or all workers are held.
    pub async fn lease(coord: &Coord) -> Result<Self, UidError> {
        let deadline = Instant::now() + LEASE_WITHIN;
        let worker = loop {
            match Worker::claim(coord, now_ms()).await {
                Ok(worker) => break worker,
                Err(CoordError::Unavailable { .. }) if Instant::now() < deadline => sleep(pause()).await,
                Err(error) => return Err(error.into()),
            }
        };
        let shared = Arc::new(Shared {
            sequence: Mutex::default(),
            renew: Notify::new(),
            renewed: watch::Sender::new(0),
        });
        shared.start(&worker);
        let stop = CancellationToken::new();
        tokio::spawn(keep(Arc::clone(&shared), coord.clone(), worker, stop.clone()));
        Ok(Self { shared, _keeper: Arc::new(stop.drop_guard()) })
    }

    /// A new id; waits (async, at most milliseconds) on sequence overflow.
    ///
    /// # Errors
    /// `NoWorker` and `ClockBehind`: try again later.
    pub async fn next(&self) -> Result<u64, UidError> {
        let mut renewed = self.shared.renewed.subscribe();
        let mut waited = false;
        loop {
            match self.try_next() {
                // The timer's resolution is a millisecond, which is what is waited for.
                Err(UidError::Exhausted) => sleep(Duration::from_millis(1)).await,
                Err(UidError::NoWorker) if !waited => {
                    waited = true;
                    let _ = timeout(RENEWAL_WITHIN, renewed.changed()).await;
                }
                other => return other,
            }
        }
    }

    /// A new id without waiting.
    ///
    /// # Errors
    /// As of [`Self::next`], and `Exhausted` where this millisecond's are given out.
    pub fn try_next(&self) -> Result<u64, UidError> {
        // Under the lock, so that a thread that is held up here brings no older time to a later turn.
        let mut sequence = self.shared.sequence.lock();
        let next = sequence.as_mut().ok_or(UidError::NoWorker)?.next(now_ms());
        drop(sequence);
        next.map_err(|stall| match stall {
            Stall::Exhausted => UidError::Exhausted,
            Stall::ClockBehind(by) => UidError::ClockBehind(by),
            Stall::Bound => {
                self.shared.renew.notify_one();
                UidError::NoWorker
            }
        })
    }
}

impl Shared {
    fn start(&self, worker: &Worker) {
        *self.sequence.lock() = Some(Sequence::new(worker.number, worker.from_ms, worker.bound_ms));
        self.renewed.send_modify(|n| *n += 1);
    }

    /// Stops giving out ids; the first millisecond that is unused.
    fn stop(&self) -> Option<u64> {
        self.sequence.lock().take().map(|s| s.unused_from_ms())
    }

    fn raise_bound(&self, bound_ms: u64) {
        if let Some(sequence) = self.sequence.lock().as_mut() {
            sequence.raise_bound(bound_ms);
        }
        self.renewed.send_modify(|n| *n += 1);
    }

    fn used_ms(&self) -> u64 {
        let used = self.sequence.lock().as_ref().map_or(0, Sequence::unused_from_ms);
        used.max(now_ms())
    }
}

/// Keeps a worker until the last handle is dropped: raises its bound, and takes another where it is lost.
async fn keep(shared: Arc<Shared>, coord: Coord, mut worker: Worker, stop: CancellationToken) {
    let mut renew_in = RENEW_EVERY;
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                if let Some(unused_from_ms) = shared.stop() {
                    worker.give_back(unused_from_ms).await;
                }
                return;
            }
            () = worker.lost() => {
                warn!(worker = worker.number, "the worker id was lost to another process");
                let Some(other) = replace(&shared, &coord, &stop).await else { return };
                worker = other;
                continue;
            }
            () = shared.renew.notified() => {}
            () = sleep(renew_in) => {}
        }
        renew_in = RENEW_EVERY;
        match worker.renew(shared.used_ms()).await {
            Renewal::Raised(bound_ms) => shared.raise_bound(bound_ms),
            Renewal::Replaced => {
                warn!(worker = worker.number, "the worker id is another process's");
                let Some(other) = replace(&shared, &coord, &stop).await else { return };
                worker = other;
            }
            Renewal::Unavailable(error) => {
                warn!(worker = worker.number, %error, "the bound of ids can't be raised; they go on up to it");
                renew_in = pause();
            }
        }
    }
}

/// Another worker, in place of one that is lost; `None` where it is stopped meanwhile.
async fn replace(shared: &Shared, coord: &Coord, stop: &CancellationToken) -> Option<Worker> {
    shared.stop();
    let claim = async {
        loop {
            match Worker::claim(coord, now_ms()).await {
                Ok(worker) => return worker,
                Err(error) => {
                    warn!(%error, "no worker id could be leased; no id is made until one is");
                    sleep(pause()).await;
                }
            }
        }
    };
    let worker = tokio::select! { worker = claim => worker, () = stop.cancelled() => return None };
    info!(worker = worker.number, "ids go on as another worker");
    shared.start(&worker);
    Some(worker)
}

fn pause() -> Duration {
    Duration::from_millis(rand::rng().random_range(200..1000))
}

/// Milliseconds since the layout's epoch; 0 where the clock stands before it.
fn now_ms() -> u64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(unix.as_millis()).unwrap_or(u64::MAX).saturating_sub(EPOCH_MS)
}
