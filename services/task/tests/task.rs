//! The promises of task: fan-out of large groups, push that never holds up a partition, jobs at one member at a time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that can't go on says so by ending"
)]

#[path = "../../logic/tests/support/memory_repo.rs"]
#[allow(dead_code, reason = "of the repo in memory a part is needed here")]
mod memory_repo;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use gochat_chassis::{Health, Shutdown};
use gochat_coord::{Coord, CoordConfig, Member, Membership};
use gochat_core::{MemberId, SlotCount, Slots, Topics, UserId, Workload};
use gochat_mq::{Consumer, Mq, MqConfig, Producer, Record, TopicSpec};
use gochat_proto::events::{DeadLetter, Downstream, FanOut, Origin, Push, PushHint, Task, task};
use gochat_proto::repo::conversation_repo_server::ConversationRepoServer;
use gochat_proto::repo::message_repo_server::MessageRepoServer;
use gochat_task::{Config, Deps};
use memory_repo::MemoryRepo;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const SHARDS: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(30);

struct Cluster {
    mq: Mq,
    coord: Coord,
    repo: MemoryRepo,
    topics: Topics,
    producer: Producer,
    downstream: Consumer,
    _repo_member: Membership,
}

struct Running {
    shutdown: Shutdown,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn stop(self) {
        self.shutdown.begin();
        self.task.await.unwrap().unwrap();
    }
}

impl Cluster {
    async fn start() -> Self {
        let mq = Mq::connect(&MqConfig::default()).await.unwrap();
        let topics = Topics::new("gochat");
        let spec = |name: &String, partitions| TopicSpec { name: name.clone(), partitions, replication: 1 };
        mq.ensure_topics(&[
            spec(&topics.downstream, SHARDS),
            spec(&topics.task, 1),
            spec(&topics.dead_letter, 1),
        ])
        .await
        .unwrap();
        let downstream = mq.consumer("test", &topics.downstream).unwrap();
        for shard in 0..SHARDS {
            downstream.assign(shard).await.unwrap();
        }
        let coord = Coord::connect(&CoordConfig::default()).await.unwrap();
        let repo = MemoryRepo::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let member = Member {
            id: MemberId::from("repo"),
            workload: Workload::Repo,
            address: format!("http://{}", listener.local_addr().unwrap()),
            draining: false,
        };
        let routes = tonic::service::Routes::new(ConversationRepoServer::new(repo.clone()))
            .add_service(MessageRepoServer::new(repo.clone()));
        tokio::spawn(gochat_chassis::grpc::serve(listener, routes, Shutdown::new()));
        Self {
            producer: mq.producer().unwrap(),
            _repo_member: coord.session().join(member).await.unwrap(),
            mq,
            coord,
            repo,
            topics,
            downstream,
        }
    }

    fn task(&self, member: &str, change: impl FnOnce(&mut Config)) -> Running {
        let mut config =
            Config { listen: "127.0.0.1:0".parse().unwrap(), member: member.into(), ..Config::default() };
        change(&mut config);
        let shutdown = Shutdown::new();
        let (one, shards) = (SlotCount::new(1).unwrap(), SlotCount::new(SHARDS).unwrap());
        let deps = Deps {
            mq: self.mq.clone(),
            topics: self.topics.clone(),
            slots: Slots { shards, upstream: one, task: one },
            coord: self.coord.session(),
            health: Health::new(),
        };
        Running { task: tokio::spawn(gochat_task::run(config, deps, shutdown.clone())), shutdown }
    }

    async fn write(&self, payload: Vec<u8>) {
        let record = Record {
            topic: self.topics.task.as_str().into(),
            partition: 0,
            key: b"key".to_vec().into(),
            payload: payload.into(),
            headers: Vec::new(),
        };
        self.producer.send(record).unwrap().await.unwrap();
    }

    async fn ask(&self, asked: task::Task) {
        self.write(Task { task: Some(asked) }.encode_to_vec()).await;
    }

    async fn fan_out(&self, conversation_id: u64, members_version: u64) {
        self.ask(task::Task::FanOut(FanOut {
            conversation_id,
            members_version,
            frame: b"frame".to_vec().into(),
            origin: Some(Origin { edge: "edge".into(), connection: 9 }),
            origin_frame: b"committed".to_vec().into(),
            sender_id: 5,
            push: None,
        }))
        .await;
    }

    /// Reads until so many recipients were told; fails where one is told twice.
    async fn told(&self, recipients: usize) -> Vec<Downstream> {
        let mut told = BTreeSet::new();
        let mut records = Vec::new();
        let shards = SlotCount::new(SHARDS).unwrap();
        while told.len() < recipients {
            let polled = tokio::time::timeout(PATIENCE, self.downstream.poll(1_000)).await;
            for record in polled.expect("told in time").unwrap() {
                let sent = Downstream::decode(record.payload).unwrap();
                for user in &sent.recipients {
                    assert_eq!(shards.of_user(UserId::new(*user).unwrap()).0, record.partition);
                    assert!(told.insert(*user), "user {user} is told twice");
                }
                records.push(sent);
            }
        }
        records
    }
}

#[tokio::test]
async fn every_member_of_a_large_group_is_told_once_and_the_list_is_read_once() {
    let cluster = Cluster::start().await;
    cluster.repo.group(7, 1..=25_000);
    let running = cluster.task("a", |_| {});
    cluster.fan_out(7, 1).await;
    let records = cluster.told(25_000).await;
    assert_eq!(records.len(), SHARDS as usize);
    let answers: Vec<_> = records.iter().filter(|r| r.origin.is_some()).collect();
    assert!(matches!(&answers[..], [r] if r.recipients.contains(&5) && r.origin_frame == b"committed"[..]));
    let reads = cluster.repo.with(|s| s.member_reads);
    cluster.fan_out(7, 1).await;
    cluster.told(25_000).await;
    assert_eq!(cluster.repo.with(|s| s.member_reads), reads, "the second time from the cache");
    cluster.repo.remove(7, 25_000);
    cluster.fan_out(7, 2).await;
    cluster.told(24_999).await;
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_set_aside_and_what_was_not_done_is_done_after_a_restart() {
    let cluster = Cluster::start().await;
    cluster.repo.group(7, 1..=10);
    let letters = cluster.mq.consumer("test", &cluster.topics.dead_letter).unwrap();
    letters.assign(0).await.unwrap();
    cluster.write(b"\xff\xff".to_vec()).await;
    cluster.fan_out(7, 1).await;
    let running = cluster.task("a", |_| {});
    cluster.told(10).await;
    let set_aside = letters.poll(10).await.unwrap();
    assert_eq!(DeadLetter::decode(set_aside[0].payload.clone()).unwrap().payload, b"\xff\xff"[..]);
    running.stop().await;
    cluster.fan_out(7, 1).await;
    let running = cluster.task("a", |_| {});
    cluster.told(10).await;
    running.stop().await;
}

type Posted = (HeaderMap, String);

/// A webhook that answers with these statuses in turn, then with 200.
async fn webhook(answers: Vec<StatusCode>) -> (String, mpsc::Receiver<Posted>) {
    let (sender, receiver) = mpsc::channel(100);
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    let take = move |headers: HeaderMap, body: String| {
        let (sender, answers) = (sender.clone(), answers.clone());
        async move {
            sender.send((headers, body)).await.unwrap();
            answers.lock().unwrap().next().unwrap_or(StatusCode::OK)
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/push", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/push", axum::routing::post(take));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, receiver)
}

async fn posted(webhook: &mut mpsc::Receiver<Posted>) -> Posted {
    tokio::time::timeout(PATIENCE, webhook.recv()).await.expect("posted in time").unwrap()
}

fn push(seq: u64, user_ids: Vec<u64>) -> task::Task {
    task::Task::Push(Push { hint: Some(PushHint { conversation_id: u64::MAX, seq, sender_id: 5 }), user_ids })
}

#[tokio::test]
async fn a_push_is_tried_again_signed_and_never_told_to_its_sender() {
    let cluster = Cluster::start().await;
    let folder = tempfile::tempdir().unwrap();
    let secret_file = folder.path().join("secret");
    std::fs::write(&secret_file, "secret\n").unwrap();
    let (url, mut webhook) =
        webhook(vec![StatusCode::INTERNAL_SERVER_ERROR, StatusCode::TOO_MANY_REQUESTS]).await;
    let running = cluster.task("a", |config| {
        config.push.url = url;
        config.push.secret_file = Some(secret_file);
        config.push.backoff = Duration::from_millis(1);
    });
    cluster.ask(push(3, vec![5])).await;
    cluster.ask(push(4, vec![4, 5, 6])).await;
    let mut bodies = Vec::new();
    for _ in 0..3 {
        let (headers, body) = posted(&mut webhook).await;
        let signature = headers["x-gochat-signature"].to_str().unwrap();
        assert!(signature.starts_with("sha256=") && signature.len() == 71, "{signature}");
        assert!(headers.contains_key("x-gochat-timestamp"));
        bodies.push(body);
    }
    let expected =
        r#"{"conversationId":"18446744073709551615","seq":"4","senderId":"5","userIds":["4","6"]}"#;
    assert_eq!(bodies, [expected; 3]);
    running.stop().await;
}

#[tokio::test]
async fn a_webhook_that_refuses_or_hangs_holds_nothing_up() {
    let cluster = Cluster::start().await;
    cluster.repo.group(7, 1..=10);
    // Accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/push", silent.local_addr().unwrap());
    let running = cluster.task("a", |config| {
        config.push.url = url;
        config.push.parallel = 1;
        config.push.queue = 1;
        config.push.timeout = PATIENCE;
    });
    for seq in 0..50 {
        cluster.ask(push(seq, vec![1])).await;
    }
    cluster.fan_out(7, 1).await;
    cluster.told(10).await;
    running.stop().await;

    let (url, mut webhook) = webhook(vec![StatusCode::BAD_REQUEST]).await;
    let running = cluster.task("a", |config| config.push.url = url);
    cluster.ask(push(1, vec![1])).await;
    cluster.ask(push(2, vec![1])).await;
    let seqs: BTreeSet<String> = [posted(&mut webhook).await.1, posted(&mut webhook).await.1].into();
    assert_eq!(seqs.len(), 2, "a refused push is not tried again: {seqs:?}");
    running.stop().await;
}

#[tokio::test]
async fn jobs_run_at_one_of_two_and_at_the_other_when_it_is_gone() {
    let cluster = Cluster::start().await;
    let jobs = |every| {
        move |config: &mut Config| {
            config.jobs.retention = Duration::from_secs(1);
            config.jobs.retention_every = every;
            config.jobs.counters_every = every;
        }
    };
    let asked = || cluster.repo.with(|s| (s.expired_asked, s.stats_asked));
    let until = async |wanted: (usize, usize)| {
        while asked() < wanted {
            tokio::task::yield_now().await;
        }
    };
    // Once at the start and then not for an hour: each leader asks once.
    let hour = Duration::from_secs(3600);
    let a = cluster.task("a", jobs(hour));
    tokio::time::timeout(PATIENCE, until((1, 1))).await.expect("the first runs the jobs");
    let b = cluster.task("b", jobs(hour));
    let mut members = cluster.coord.members(Workload::Task);
    members.wait_for(|members| members.len() == 2).await.unwrap();
    assert_eq!(asked(), (1, 1), "the second does not");
    a.stop().await;
    tokio::time::timeout(PATIENCE, until((2, 2))).await.expect("the second takes over");
    assert_eq!(asked(), (2, 2));
    b.stop().await;
}
