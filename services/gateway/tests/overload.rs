//! Sends that logic has no time for are refused before the log takes them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod support;

use std::time::Duration;

use gochat_proto::client::{Send, client_frame, server_frame};
use support::{Socket, World};

const BACKLOG: u64 = 5;

async fn answer(socket: &mut Socket, id: &str) -> Result<(), gochat_proto::client::Error> {
    let send = Send { conversation_id: 5, client_msg_id: id.into(), text: "hi".into() };
    socket.send(client_frame::Frame::Send(send)).await;
    match socket.next().await {
        server_frame::Frame::Accepted(accepted) => assert_eq!(accepted.client_msg_id, id),
        server_frame::Frame::Error(error) => {
            assert_eq!((error.client_msg_id.as_str(), error.conversation_id), (id, 5));
            return Err(error);
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}

/// Sends until it is accepted or refused as wanted.
async fn until_accepted(socket: &mut Socket, accepted: bool) {
    for n in 0.. {
        if answer(socket, &format!("{accepted}-{n}")).await.is_ok() == accepted {
            return;
        }
        assert!(n < 200, "never accepted: {accepted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn sends_are_refused_while_logic_is_behind_and_taken_again_when_it_has_caught_up() {
    let world = World::new().await;
    let [gateway] = world.gateways::<1>(|c| c.limits.upstream_backlog = BACKLOG).await;
    let mut socket = gateway.login(7).await;
    for n in 0..=BACKLOG {
        answer(&mut socket, &format!("m{n}")).await.unwrap();
    }
    until_accepted(&mut socket, false).await;
    let refused = answer(&mut socket, "late").await.unwrap_err();
    assert_eq!(refused.code, "overloaded");
    assert!(refused.retry_after_ms > 0);
    assert!(socket.is_alive().await);

    // Logic commits what it has read, all but a few.
    let consumer = world.mq.consumer("logic", &world.topics.upstream).unwrap();
    for partition in 0..4 {
        consumer.assign(partition).await.unwrap();
    }
    let last = consumer.poll(1_000).await.unwrap().pop().unwrap();
    consumer.commit(&[(last.partition, last.offset)]).await.unwrap();
    until_accepted(&mut socket, true).await;
}
