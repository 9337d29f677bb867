//! People chat: every service its own process, on real Kafka, MariaDB, Redis and etcd.

use std::time::Duration;

use anyhow::Result;
use gochat_e2e::{Cluster, Encoding, Load, Size, Socket, User};
use gochat_engines::{Engine, missing};
use tokio::sync::OnceCell;

async fn cluster() -> Result<&'static Cluster> {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    CLUSTER.get_or_try_init(|| Cluster::start("chat", Size::default())).await
}

#[tokio::test]
async fn two_users_chat_over_different_gateways_and_subprotocols() -> Result<()> {
    if missing("two_users_chat_over_different_gateways_and_subprotocols", &Engine::ALL) {
        return Ok(());
    }
    let gateways = cluster().await?.gateways();
    let (alice, bob) =
        (User::register(&gateways[0], "alice").await?, User::register(&gateways[1], "bob").await?);
    let chat = alice.direct_chat(&bob).await?;
    assert_eq!(bob.direct_chat(&alice).await?, chat, "there is one direct chat of two people");

    let mut at_alice = Socket::open(&gateways[0], &alice, Encoding::Proto).await?;
    let mut at_bob = Socket::open(&gateways[1], &bob, Encoding::Json).await?;
    let mut at_bobs_phone = Socket::open(&gateways[0], &bob, Encoding::Proto).await?;
    for round in 1..=5 {
        let (question, answer) = (format!("question {round}"), format!("answer {round}"));
        at_alice.say(chat, &question.replace(' ', "-"), &question).await?;
        assert_eq!(at_alice.committed(&question.replace(' ', "-")).await?, 2 * round - 1);
        assert_eq!(at_bob.message(chat).await?, (2 * round - 1, question.clone()));
        at_bob.say(chat, &answer.replace(' ', "-"), &answer).await?;
        assert_eq!(at_alice.message(chat).await?, (2 * round, answer.clone()));
        assert_eq!(at_bobs_phone.message(chat).await?, (2 * round - 1, question));
        assert_eq!(
            at_bobs_phone.message(chat).await?,
            (2 * round, answer),
            "a device sees what its other one sent"
        );
    }
    let history = bob.history(chat).await?;
    assert_eq!(history.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn a_message_that_is_sent_again_is_stored_once() -> Result<()> {
    if missing("a_message_that_is_sent_again_is_stored_once", &Engine::ALL) {
        return Ok(());
    }
    let gateways = cluster().await?.gateways();
    let (alice, bob) =
        (User::register(&gateways[0], "alice").await?, User::register(&gateways[1], "bob").await?);
    let chat = alice.direct_chat(&bob).await?;
    let mut socket = Socket::open(&gateways[0], &alice, Encoding::Json).await?;
    socket.say(chat, "once", "only once").await?;
    assert_eq!(socket.committed("once").await?, 1);
    // As a client does after a reconnect, here through the other gateway.
    let mut socket = Socket::open(&gateways[1], &alice, Encoding::Json).await?;
    socket.say(chat, "once", "only once").await?;
    assert_eq!(socket.committed("once").await?, 1);
    assert_eq!(bob.history(chat).await?, [(1, "only once".to_owned())]);
    Ok(())
}

#[tokio::test]
async fn a_group_of_a_thousand_chats_with_a_clean_ledger() -> Result<()> {
    if missing("a_group_of_a_thousand_chats_with_a_clean_ledger", &Engine::ALL) {
        return Ok(());
    }
    let cluster = cluster().await?;
    let arguments = ["--groups", "1000x1", "--pairs", "10", "--rate", "20", "--duration", "8s"];
    let report = Load::start(cluster, "group", &arguments).await?.report(Duration::from_mins(3)).await?;
    report.ensure_clean()
}
