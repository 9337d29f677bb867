//! The promise of one record's durability: one allocation, no channel.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use futures::task::AtomicWaker;

use crate::MqError;

/// What the log says about one record, and who waits for it.
pub(crate) struct Slot {
    since: Instant,
    outcome: OnceLock<Result<u64, MqError>>,
    waker: AtomicWaker,
}

impl Slot {
    fn new() -> Arc<Self> {
        Arc::new(Self { since: Instant::now(), outcome: OnceLock::new(), waker: AtomicWaker::new() })
    }

    /// When the record was queued.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// The first outcome stands.
    pub(crate) fn resolve(&self, outcome: Result<u64, MqError>) {
        if self.outcome.set(outcome).is_ok() {
            self.waker.wake();
        }
    }
}

/// Resolves when the record is durable, to its offset. Dropping it does not cancel the record.
#[must_use = "a record whose delivery nobody waits for may be lost unseen"]
pub struct Delivery(Arc<Slot>);

impl Delivery {
    /// A promise and the side that keeps it.
    pub(crate) fn promise() -> (Self, Resolver) {
        let slot = Slot::new();
        (Self(Arc::clone(&slot)), Resolver(slot))
    }

    /// A promise whose other side goes through librdkafka as an opaque pointer; that always reports back.
    pub(crate) fn opaque() -> (Self, Arc<Slot>) {
        let slot = Slot::new();
        (Self(Arc::clone(&slot)), slot)
    }

    /// A promise kept already.
    pub(crate) fn done(offset: u64) -> Self {
        let (delivery, resolver) = Self::promise();
        resolver.resolve(Ok(offset));
        delivery
    }
}

impl Future for Delivery {
    type Output = Result<u64, MqError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(outcome) = self.0.outcome.get() {
            return Poll::Ready(outcome.clone());
        }
        self.0.waker.register(context.waker());
        // It may have been resolved between the look and the registration.
        match self.0.outcome.get() {
            Some(outcome) => Poll::Ready(outcome.clone()),
            None => Poll::Pending,
        }
    }
}

/// Keeps a promise; one that goes away unresolved is an error.
pub(crate) struct Resolver(Arc<Slot>);

impl Resolver {
    /// When the record was queued.
    pub(crate) fn since(&self) -> Instant {
        self.0.since
    }

    pub(crate) fn resolve(self, outcome: Result<u64, MqError>) {
        self.0.resolve(outcome);
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.0.resolve(Err(MqError::unavailable("write", "the log closed or could not write")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_promise_wakes_its_waiter() {
        let (delivery, resolver) = Delivery::promise();
        let waiter = tokio::spawn(delivery);
        tokio::task::yield_now().await;
        resolver.resolve(Ok(7));
        assert_eq!(waiter.await.unwrap(), Ok(7));
    }

    #[tokio::test]
    async fn a_promise_that_is_dropped_is_an_error_and_no_hang() {
        let (delivery, resolver) = Delivery::promise();
        drop(resolver);
        assert!(matches!(delivery.await, Err(MqError::Unavailable { .. })));
    }
}
