//! Who is told that a user came or went, and when.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod support;

use std::time::{Duration, Instant};

use gochat_proto::client::{Presence, WatchPresence, client_frame, server_frame};
use support::{Socket, World};

const GRACE: Duration = Duration::from_secs(2);

async fn watch(socket: &mut Socket, user: u64) {
    socket.send(client_frame::Frame::Presence(WatchPresence { user_ids: vec![user] })).await;
}

async fn hears(socket: &mut Socket, user_id: u64, online: bool) {
    assert_eq!(socket.next().await, server_frame::Frame::Presence(Presence { user_id, online }));
}

/// The next thing that is heard is that the user is offline, and that after the grace.
async fn hears_offline_after_the_grace(socket: &mut Socket, user: u64, last_socket: Socket) {
    let left = Instant::now();
    drop(last_socket);
    hears(socket, user, false).await;
    let after = left.elapsed();
    // The gateway counts whole milliseconds, so its grace ends up to one early.
    assert!(after + Duration::from_millis(1) >= GRACE && after < GRACE * 2, "{after:?}");
}

#[tokio::test]
async fn a_reconnect_within_the_grace_tells_nobody_anything() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|c| c.presence_grace = GRACE).await;
    let (watcher, user) = (world.user_in(0, 0), world.user_in(1, 0));
    let mut watching = gateway.login(watcher).await;
    watch(&mut watching, user).await;
    hears(&mut watching, user, false).await;
    let mut there = gateway.login(user).await;
    hears(&mut watching, user, true).await;
    for _ in 0..3 {
        drop(there);
        there = gateway.login(user).await;
    }
    // Who asks meanwhile gets what everybody thinks.
    drop(there);
    let mut late = gateway.login(watcher).await;
    watch(&mut late, user).await;
    hears(&mut late, user, true).await;
    let there = gateway.login(user).await;
    hears_offline_after_the_grace(&mut watching, user, there).await;
    hears(&mut late, user, false).await;
    let _there = gateway.login(user).await;
    hears(&mut watching, user, true).await;
}

#[tokio::test]
async fn a_gateway_that_stops_takes_nobody_offline_who_comes_back() {
    let world = World::new().await;
    let [first, second] = world.gateways::<2>(|c| c.presence_grace = GRACE).await;
    // The user's socket and home are at the second gateway, the watcher's at the first.
    let (watcher, user) = (world.user_in(0, 0), world.user_in(1, 0));
    let mut watching = first.login(watcher).await;
    watch(&mut watching, user).await;
    hears(&mut watching, user, false).await;
    let mut there = second.login(user).await;
    hears(&mut watching, user, true).await;
    second.shutdown.begin();
    assert_eq!(there.closed().await.0, 4000);
    drop(there);
    let there = first.login(user).await;
    second.stopped.await.unwrap().unwrap();
    hears_offline_after_the_grace(&mut watching, user, there).await;
}
