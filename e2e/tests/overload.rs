//! More than logic can store is refused, and what was accepted is stored.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gochat_e2e::{Cluster, Encoding, Size, Socket, User};
use gochat_engines::{Engine, missing};
use gochat_proto::client::server_frame::Frame;
use serde_json::json;

const TEST: &str = "what_logic_has_no_time_for_is_refused_and_what_was_accepted_is_stored";
const WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_logic_has_no_time_for_is_refused_and_what_was_accepted_is_stored() -> Result<()> {
    if missing(TEST, &Engine::ALL) {
        return Ok(());
    }
    let size = Size { gateways: 1, logics: 1, ..Size::default() };
    let settings = json!({ "gateway": { "limits": { "upstream_backlog": 20 } } });
    let cluster = Cluster::start_with("overload", size, &settings).await?;
    let gateway = cluster.gateway(0)?;
    let (alice, bob) = (User::register(&gateway, "alice").await?, User::register(&gateway, "bob").await?);
    let chat = alice.direct_chat(&bob).await?;
    let mut socket = Socket::open(&gateway, &alice, Encoding::Proto).await?;

    let logic = cluster.service("logic-0")?;
    logic.kill()?;
    let mut accepted = Vec::new();
    let begun = Instant::now();
    let refused = loop {
        ensure!(begun.elapsed() < WITHIN, "{} accepted, none refused", accepted.len());
        let id = format!("m{}", accepted.len());
        socket.say(chat, &id, &id).await?;
        let answer = socket.until(|frame| match frame {
            Frame::Accepted(frame) if frame.client_msg_id == id => Some(Ok(())),
            Frame::Error(error) if error.client_msg_id == id => Some(Err(error)),
            _ => None,
        });
        match answer.await? {
            Ok(()) => accepted.push(id),
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    };
    ensure!(refused.code == "overloaded" && refused.retry_after_ms > 0, "{refused:?}");
    // Counted once a second.
    ensure!((21..200).contains(&accepted.len()), "{} accepted", accepted.len());
    ensure!(cluster.gateway_count("gochat_gateway_overloaded_total").await? >= 1.0);
    ensure!(cluster.gateway_count("gochat_gateway_upstream_backlog").await? > 20.0);

    logic.restart().await?;
    let begun = Instant::now();
    loop {
        ensure!(begun.elapsed() < WITHIN, "still refused");
        socket.say(chat, "after", "after").await?;
        let answer = socket.until(|frame| match frame {
            Frame::Committed(frame) if frame.client_msg_id == "after" => Some(true),
            Frame::Error(error) if error.client_msg_id == "after" => Some(false),
            _ => None,
        });
        if answer.await? {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let stored: Vec<String> = bob.history(chat).await?.into_iter().map(|(_, text)| text).collect();
    accepted.push("after".to_owned());
    assert_eq!(stored, accepted);
    Ok(())
}
