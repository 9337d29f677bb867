//! Delivery reports without a thread that waits for them: librdkafka rings a bell, and a task takes what is there.
//!
//! A polling thread costs two switches between threads for every batch of reports, and a wake-up of the runtime for every
//! record of it; the task wakes those who wait on the runtime's own thread.

use std::future::poll_fn;
use std::os::raw::c_void;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use rdkafka::bindings as native;
use rdkafka::producer::{BaseProducer, Producer as _};
use rdkafka::types::RDKafka;
use tokio::runtime::Handle;

use super::context::Deliveries;

/// Events taken before other tasks get their turn.
const AT_A_TIME: usize = 64;

/// A producer whose reports are taken by a task of `runtime`, until it ends.
pub(super) struct Reporting(Arc<Mutex<Option<Taken>>>);

/// In this order: the bell is taken down while the client lives.
struct Taken {
    bell: Bell,
    producer: Arc<BaseProducer<Deliveries>>,
}

impl Reporting {
    pub(super) fn start(producer: &Arc<BaseProducer<Deliveries>>, runtime: &Handle) -> Self {
        let bell = Bell::hang(producer);
        let shared = Arc::new(Mutex::new(Some(Taken { bell, producer: Arc::clone(producer) })));
        runtime.spawn({
            let shared = Arc::clone(&shared);
            poll_fn(move |context| {
                shared.lock().as_ref().map_or(Poll::Ready(()), |taken| taken.take(context))
            })
        });
        Self(shared)
    }

    /// No report is taken any more, and the task has let go of the client.
    pub(super) fn end(&self) {
        let taken = self.0.lock().take();
        if let Some(Taken { bell, .. }) = taken {
            bell.rung.wake();
        }
    }
}

impl Taken {
    fn take(&self, context: &Context<'_>) -> Poll<()> {
        // Before the look: what comes after it rings.
        self.bell.rung.register(context.waker());
        for _ in 0..AT_A_TIME {
            if self.bell.is_empty() {
                return Poll::Pending;
            }
            self.producer.poll(Duration::ZERO);
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Rings when the client's queue of events is no longer empty.
struct Bell {
    queue: *mut native::rd_kafka_queue_t,
    rung: Arc<AtomicWaker>,
}

// SAFETY: librdkafka's queues have a lock of their own, and the pointer is used for nothing but its calls.
#[allow(unsafe_code)]
unsafe impl Send for Bell {}

#[allow(unsafe_code, reason = "the binding has this for consumers only")]
impl Bell {
    fn hang(producer: &BaseProducer<Deliveries>) -> Self {
        let rung = Arc::new(AtomicWaker::new());
        // SAFETY: the client lives. The queue is counted: it is ours until `drop` gives it back. The waker outlives the
        // callback, which `drop` takes down first.
        let queue = unsafe {
            let queue = native::rd_kafka_queue_get_main(producer.client().native_ptr());
            native::rd_kafka_queue_cb_event_enable(queue, Some(ring), Arc::as_ptr(&rung).cast_mut().cast());
            queue
        };
        Self { queue, rung }
    }

    fn is_empty(&self) -> bool {
        // SAFETY: the queue is ours until `drop`.
        unsafe { native::rd_kafka_queue_length(self.queue) == 0 }
    }
}

#[allow(unsafe_code)]
impl Drop for Bell {
    fn drop(&mut self) {
        // SAFETY: the callback runs under the queue's lock, which disabling takes too: after it, none runs any more.
        unsafe {
            native::rd_kafka_queue_cb_event_enable(self.queue, None, std::ptr::null_mut());
            native::rd_kafka_queue_destroy(self.queue);
        }
    }
}

/// Called by librdkafka's threads under the queue's lock: may do nothing but wake.
#[allow(unsafe_code)]
unsafe extern "C" fn ring(_: *mut RDKafka, rung: *mut c_void) {
    // SAFETY: it is what `hang` gave, and lives: see there.
    let rung = unsafe { &*rung.cast::<AtomicWaker>() };
    rung.wake();
}
