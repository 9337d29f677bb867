//! Where another workload's members are, and calls to them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use gochat_chassis::Shutdown;
use gochat_coord::{Coord, Member};
use gochat_core::Workload;
use tokio::sync::watch;
use tonic::transport::Channel;
use tonic::{Response, Status};

/// Another workload: one channel balanced over its living members, every call with a deadline. Cheap to clone.
#[derive(Clone)]
pub struct Peer {
    channel: Channel,
    workload: Workload,
    timeout: Duration,
}

impl Peer {
    /// Follows the workload's members until shutdown begins.
    pub fn connect(coord: &Coord, workload: Workload, timeout: Duration, shutdown: &Shutdown) -> Self {
        let addresses = addresses(coord, workload, shutdown);
        Self { channel: gochat_chassis::grpc::balanced(addresses, timeout), workload, timeout }
    }

    /// For a client of one of its services.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Awaits a call, but not past the deadline, wherever it waits.
    pub async fn ask<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Status> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer.map(Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded(format!("{} did not answer in time", self.workload))),
        }
    }
}

/// The addresses of the members that take calls, kept current until shutdown begins; after that they stay, since work
/// in flight still needs them.
pub fn addresses(coord: &Coord, workload: Workload, shutdown: &Shutdown) -> watch::Receiver<Vec<String>> {
    let mut members = coord.members(workload);
    let (sender, receiver) = watch::channel(callable(&members.borrow_and_update()));
    let stop = shutdown.clone();
    shutdown.spawn("peer-addresses", async move {
        loop {
            tokio::select! {
                changed = members.changed() => if changed.is_err() { return },
                () = stop.wait() => return,
                () = sender.closed() => return,
            }
            let now = callable(&members.borrow_and_update());
            sender.send_if_modified(|last| {
                let differs = *last != now;
                if differs {
                    tracing::debug!(%workload, addresses = ?now, "peers changed");
                    *last = now;
                }
                differs
            });
        }
    });
    receiver
}

fn callable(members: &Arc<Vec<Member>>) -> Vec<String> {
    members.iter().filter(|m| !m.draining).map(|m| m.address.clone()).collect()
}
