//! Every process in turn is killed under load and started again: nothing accepted is lost, and clients recover by
//! themselves. Prints how long each fault is felt; the same lines stay in `e2e/artifacts/faults/recovery.txt`.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use gochat_e2e::{Cluster, Encoding, Load, Size, Socket, User};
use gochat_engines::{Engine, missing};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// How long one attempt to exchange a message may take, and the pause before the next: what the times are good to.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);

/// One cluster for all faults, and one fault at a time.
async fn cluster() -> Result<MutexGuard<'static, Cluster>> {
    static CLUSTER: OnceCell<Mutex<Cluster>> = OnceCell::const_new();
    let more = json!({ "logic": { "fanout_threshold": 20 } });
    let start = async || Cluster::start_with("faults", Size::default(), &more).await.map(Mutex::new);
    Ok(CLUSTER.get_or_try_init(start).await?.lock().await)
}

macro_rules! survives {
    ($($test:ident: $victim:literal;)*) => {
        $(
            #[tokio::test]
            async fn $test() -> Result<()> {
                if missing(stringify!($test), &Engine::ALL) {
                    return Ok(());
                }
                survives($victim).await
            }
        )*
    };
}

survives! {
    a_killed_gateway_loses_no_accepted_message: "gateway-0";
    a_killed_logic_loses_no_accepted_message: "logic-0";
    a_killed_repo_loses_no_accepted_message: "repo-0";
    a_killed_task_loses_no_accepted_message: "task-0";
    a_killed_kafka_loses_no_accepted_message: "kafka";
    a_killed_mariadb_loses_no_accepted_message: "mariadb";
    a_killed_redis_loses_no_accepted_message: "redis";
    a_killed_etcd_loses_no_accepted_message: "etcd";
}

async fn survives(victim: &str) -> Result<()> {
    let cluster = cluster().await?;
    let (alice, bob) = (
        User::register(&cluster.gateway(0)?, "alice").await?,
        User::register(&cluster.gateway(1)?, "bob").await?,
    );
    let chat = alice.direct_chat(&bob).await?;
    // The group is above the fan-out threshold, so that task has work too.
    let arguments = ["--pairs", "10", "--groups", "30x1", "--rate", "100", "--duration", "12s"];
    let load = Load::start(&cluster, &format!("load-{victim}"), &arguments).await?;
    load.under_way(&cluster).await?;

    let killed = Instant::now();
    kill(&cluster, victim)?;
    let (ready, back) =
        tokio::try_join!(restart(&cluster, victim), back_in_service(&cluster, &alice, &bob, chat))?;
    report(&cluster, victim, ready, back.duration_since(killed))?;

    let report = load.report(Duration::from_mins(2)).await?;
    report.ensure_clean().with_context(|| format!("{victim} was killed"))?;
    // Pushes flow again for everybody, and not only history.
    report.ensure_delivered_within(Duration::from_secs(20)).with_context(|| format!("{victim} was killed"))
}

fn kill(cluster: &Cluster, victim: &str) -> Result<()> {
    let stack = cluster.stack();
    match victim {
        "kafka" => stack.kafka.kill(),
        "mariadb" => stack.mariadb.kill(),
        "redis" => stack.redis.kill(),
        "etcd" => stack.etcd.kill(),
        service => cluster.service(service)?.kill(),
    }
}

async fn restart(cluster: &Cluster, victim: &str) -> Result<Duration> {
    let stack = cluster.stack();
    match victim {
        "kafka" => stack.kafka.restart().await,
        "mariadb" => stack.mariadb.restart().await,
        "redis" => stack.redis.restart().await,
        "etcd" => stack.etcd.restart().await,
        service => cluster.service(service)?.restart().await,
    }
}

/// The moment when two people who come new to the cluster, each trying gateway after gateway, have exchanged a message.
async fn back_in_service(cluster: &Cluster, alice: &User, bob: &User, chat: u64) -> Result<Instant> {
    let begun = Instant::now();
    let mut last = String::new();
    for attempt in 0_usize.. {
        let (here, there) = (cluster.gateway(attempt)?, cluster.gateway(attempt / 2)?);
        let exchange = exchange((&here, alice), (&there, bob), chat, attempt);
        match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(Ok(())) => return Ok(Instant::now()),
            Ok(Err(error)) => last = format!("{error:#}"),
            Err(_) => "no answer in time".clone_into(&mut last),
        }
        tokio::time::sleep(PAUSE).await;
        if begun.elapsed() > Duration::from_mins(1) {
            break;
        }
    }
    bail!("no message came through for a minute; last: {last}")
}

async fn exchange(from: (&str, &User), to: (&str, &User), chat: u64, attempt: usize) -> Result<()> {
    let mut receiver = Socket::open(to.0, to.1, Encoding::Proto).await?;
    let mut sender = Socket::open(from.0, from.1, Encoding::Proto).await?;
    let text = format!("attempt-{attempt}-{}", std::process::id());
    sender.say(chat, &text, &text).await?;
    while receiver.message(chat).await?.1 != text {}
    Ok(())
}

fn report(cluster: &Cluster, victim: &str, ready: Duration, back: Duration) -> Result<()> {
    let line = format!(
        "SIGKILL {victim}: it is ready again after {:.1} s, people can chat after {:.1} s\n",
        ready.as_secs_f64(),
        back.as_secs_f64()
    );
    std::io::stderr().write_all(line.as_bytes())?;
    let path = cluster.folder().join("recovery.txt");
    Ok(File::options().create(true).append(true).open(path)?.write_all(line.as_bytes())?)
}
