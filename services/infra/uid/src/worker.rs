//! Which worker this process is: one of 1,024 keys claimed in coord, and beside it the stored bound.
//!
//! The claim keeps two processes from contending for a worker. What keeps their ids apart is the bound: see the
//! crate's guarantees.

use std::time::Duration;

use bytes::Bytes;
use gochat_coord::{Claim, Coord, CoordError};
use rand::RngExt as _;
use tracing::{debug, info, warn};

use crate::layout::WORKERS;
use crate::sequence::MAX_AHEAD_MS;

/// How far ahead the bound is stored: as long as ids go on while coordination is away. Long costs nothing, since the
/// next process takes another of the workers rather than wait for this one's bound to pass.
const RESERVE_MS: u64 = 60_000;

/// When the bound is raised: the other two thirds are for a coord that is away.
pub(crate) const RENEW_EVERY: Duration = Duration::from_millis(RESERVE_MS / 3);

/// A worker id that is held.
pub(crate) struct Worker {
    pub(crate) number: u16,
    /// Ids before it may have been given out by earlier holders.
    pub(crate) from_ms: u64,
    /// Ids before it may be given out by this one.
    pub(crate) bound_ms: u64,
    claim: Claim,
    coord: Coord,
    /// This tenure's, in the stored bound: what tells it from any other's.
    tenure: u64,
}

/// What became of a bound that was to be raised.
pub(crate) enum Renewal {
    Raised(u64),
    /// Another holder has replaced it.
    Replaced,
    Unavailable(CoordError),
}

impl Worker {
    /// Draws a worker that nobody holds and whose bound has passed by `now_ms`; where there is none, one whose bound
    /// passes soon.
    pub(crate) async fn claim(coord: &Coord, now_ms: u64) -> Result<Self, CoordError> {
        let start = rand::rng().random_range(0..WORKERS);
        let mut last = None;
        for wait_ms in [0, MAX_AHEAD_MS] {
            for number in (0..WORKERS).map(|i| (start + i) % WORKERS) {
                match Self::try_claim(coord, number, now_ms, wait_ms).await {
                    Ok(worker) => return Ok(worker),
                    Err(held @ CoordError::Held { .. }) => last = Some(held),
                    Err(away) => return Err(away),
                }
            }
        }
        Err(last.unwrap_or_else(|| CoordError::Held { key: "workers".into(), holder: "others".into() }))
    }

    async fn try_claim(coord: &Coord, number: u16, now_ms: u64, wait_ms: u64) -> Result<Self, CoordError> {
        let tenure = rand::rng().random::<u64>();
        let claim = coord.claim(&format!("workers/{number}"), &tenure.to_string(), Duration::ZERO).await?;
        let (stored, former) = read_bound(coord, number).await?;
        let from_ms = former.map_or(0, |bound| bound.ms);
        if from_ms > now_ms + wait_ms {
            claim.release().await;
            let holder = format!("ids of the next {} ms", from_ms - now_ms);
            return Err(CoordError::Held { key: format!("workers/{number}"), holder });
        }
        let bound = Bound { ms: from_ms.max(now_ms) + RESERVE_MS, tenure };
        coord.compare_and_put(&key(number), stored.as_ref(), bound.encode()).await?;
        info!(worker = number, "a worker id was leased");
        Ok(Self { number, from_ms, bound_ms: bound.ms, claim, coord: coord.clone(), tenure })
    }

    /// Stores a bound that is a reserve ahead of `used_ms`, the later of the clock and the last id.
    pub(crate) async fn renew(&mut self, used_ms: u64) -> Renewal {
        let ms = (used_ms + RESERVE_MS).max(self.bound_ms);
        match self.store(ms).await {
            Ok(true) => {
                self.bound_ms = ms;
                Renewal::Raised(ms)
            }
            Ok(false) => Renewal::Replaced,
            Err(error) => Renewal::Unavailable(error),
        }
    }

    /// Replaces this tenure's bound; false where another's stands there.
    async fn store(&self, ms: u64) -> Result<bool, CoordError> {
        // Read first: an earlier write of ours may have happened though its answer was lost.
        let (stored, bound) = read_bound(&self.coord, self.number).await?;
        if bound.is_none_or(|bound| bound.tenure != self.tenure) {
            return Ok(false);
        }
        let next = Bound { ms, tenure: self.tenure }.encode();
        match self.coord.compare_and_put(&key(self.number), stored.as_ref(), next).await {
            Err(CoordError::Held { .. }) => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Resolves when another process holds this worker.
    pub(crate) async fn lost(&self) {
        self.claim.lost().await;
    }

    /// Gives the worker back, with nothing reserved past `unused_from_ms`: nothing is given out after this.
    pub(crate) async fn give_back(self, unused_from_ms: u64) {
        if let Err(error) = self.store(unused_from_ms).await {
            debug!(worker = self.number, %error, "the worker's bound stays reserved");
        }
        self.claim.release().await;
    }
}

/// `milliseconds tenure`, as text.
struct Bound {
    ms: u64,
    tenure: u64,
}

impl Bound {
    fn encode(&self) -> Bytes {
        format!("{} {}", self.ms, self.tenure).into()
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let (ms, tenure) = std::str::from_utf8(value).ok()?.split_once(' ')?;
        Some(Self { ms: ms.parse().ok()?, tenure: tenure.parse().ok()? })
    }
}

fn key(number: u16) -> String {
    format!("worker-bounds/{number}")
}

async fn read_bound(coord: &Coord, number: u16) -> Result<(Option<Bytes>, Option<Bound>), CoordError> {
    let key = key(number);
    let Some(value) = coord.get(&key).await? else { return Ok((None, None)) };
    if let Some(bound) = Bound::decode(&value) {
        return Ok((Some(value), Some(bound)));
    }
    // Whatever it was, its ids can't be known: the worker is out of use until somebody deletes the key.
    warn!(key, "a worker's bound can't be read; the worker is passed over");
    Err(CoordError::Held { key, holder: "a bound that can't be read".into() })
}
