//! One cluster in this process: embedded log, in-process coordination, repo in memory.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]

pub mod memory_repo;

use std::time::Duration;

use gochat_cache::{CacheConfig, CacheLayer};
use gochat_chassis::{Health, Shutdown};
use gochat_coord::{Coord, CoordConfig, Member, Membership};
use gochat_core::{ConversationId, MemberId, SlotCount, Slots, Topics, UserId, Workload};
use gochat_db::{Db, DbConfig};
use gochat_logic::{AuthConfig, Config, Deps};
use gochat_mq::{Consumed, Consumer, Mq, MqConfig, Producer, Record, TopicSpec};
use gochat_proto::client::{ServerFrame, server_frame::Frame};
use gochat_proto::events::{Downstream, Origin, Send, Upstream, upstream};
use gochat_proto::repo::{
    conversation_repo_server::ConversationRepoServer, message_repo_server::MessageRepoServer,
    user_repo_server::UserRepoServer,
};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use memory_repo::MemoryRepo;

pub const SHARDS: u32 = 8;
pub const PARTITIONS: u32 = 4;
/// Far beyond what anything here takes; only a failure lasts so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Cluster {
    pub mq: Mq,
    pub coord: Coord,
    pub repo: MemoryRepo,
    pub topics: Topics,
    producer: Producer,
    downstream: Consumer,
    dead_letters: Consumer,
    tasks: Consumer,
    repo_running: Option<(Shutdown, JoinHandle<()>, Membership)>,
}

pub struct Logic {
    pub address: String,
    pub member: MemberId,
    pub shutdown: Shutdown,
    pub health: Health,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Logic {
    pub async fn stop(self) {
        self.shutdown.begin();
        self.running.await.unwrap().unwrap();
    }
}

impl Cluster {
    /// With repo in memory.
    pub async fn start() -> Self {
        let mut cluster = Self::without_repo().await;
        cluster.start_repo().await;
        cluster
    }

    /// With the real repo on SQLite; it stops with the test.
    pub async fn on_sql() -> Self {
        let cluster = Self::without_repo().await;
        let db = Db::connect(&DbConfig::default()).await.unwrap();
        gochat_repo::migrate(&db).await.unwrap();
        let config =
            gochat_repo::Config { listen: "127.0.0.1:0".parse().unwrap(), ..gochat_repo::Config::default() };
        let deps = gochat_repo::Deps { db, coord: cluster.coord.session(), health: Health::new() };
        tokio::spawn(gochat_repo::run(config, deps, Shutdown::new()));
        let mut members = cluster.coord.members(Workload::Repo);
        members.wait_for(|members| !members.is_empty()).await.unwrap();
        cluster
    }

    async fn without_repo() -> Self {
        let mq = Mq::connect(&MqConfig::default()).await.unwrap();
        let topics = Topics::new("gochat");
        let spec = |name: &String, partitions| TopicSpec { name: name.clone(), partitions, replication: 1 };
        mq.ensure_topics(&[
            spec(&topics.upstream, PARTITIONS),
            spec(&topics.downstream, SHARDS),
            spec(&topics.task, PARTITIONS),
            spec(&topics.dead_letter, 1),
        ])
        .await
        .unwrap();
        let reader = async |topic: &str, partitions| {
            let consumer = mq.consumer("test", topic).unwrap();
            for partition in 0..partitions {
                consumer.assign(partition).await.unwrap();
            }
            consumer
        };
        Self {
            downstream: reader(&topics.downstream, SHARDS).await,
            dead_letters: reader(&topics.dead_letter, 1).await,
            tasks: reader(&topics.task, PARTITIONS).await,
            producer: mq.producer().unwrap(),
            coord: Coord::connect(&CoordConfig::default()).await.unwrap(),
            repo: MemoryRepo::default(),
            repo_running: None,
            mq,
            topics,
        }
    }

    pub async fn start_repo(&mut self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let member = Member {
            id: MemberId::from("repo"),
            workload: Workload::Repo,
            address: format!("http://{}", listener.local_addr().unwrap()),
            draining: false,
        };
        let repo = self.repo.clone();
        let routes = tonic::service::Routes::new(UserRepoServer::new(repo.clone()))
            .add_service(ConversationRepoServer::new(repo.clone()))
            .add_service(MessageRepoServer::new(repo));
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let serving = tokio::spawn(async move {
            gochat_chassis::grpc::serve(listener, routes, stop).await.unwrap();
        });
        let membership = self.coord.session().join(member).await.unwrap();
        self.repo_running = Some((shutdown, serving, membership));
    }

    pub async fn stop_repo(&mut self) {
        let (shutdown, serving, membership) = self.repo_running.take().unwrap();
        membership.leave().await;
        shutdown.begin();
        serving.await.unwrap();
    }

    /// A logic that owns whatever placement and members say, once it is ready.
    pub async fn logic(&self, member: &str) -> Logic {
        self.logic_with(member, |_| {}).await
    }

    pub async fn logic_with(&self, member: &str, change: impl FnOnce(&mut Config)) -> Logic {
        let mut config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            member: member.into(),
            repo_timeout: Duration::from_secs(2),
            auth: AuthConfig {
                secret: "a secret for tests, 32 bytes or more".into(),
                password_memory_kib: 8_192,
                password_passes: 1,
                ..AuthConfig::default()
            },
            ..Config::default()
        };
        change(&mut config);
        let coord = self.coord.session();
        let (health, shutdown) = (Health::new(), Shutdown::new());
        let partitions = SlotCount::new(PARTITIONS).unwrap();
        let shards = SlotCount::new(SHARDS).unwrap();
        let deps = Deps {
            mq: self.mq.clone(),
            topics: self.topics.clone(),
            slots: Slots { shards, upstream: partitions, task: partitions },
            cache: CacheLayer::connect(&CacheConfig::default()).await.unwrap(),
            coord: coord.clone(),
            health: health.clone(),
        };
        let running = tokio::spawn(gochat_logic::run(config, deps, shutdown.clone()));
        let member = MemberId::from(member);
        let mut members = coord.members(Workload::Logic);
        let found = members.wait_for(|members| members.iter().any(|m| m.id == member));
        let address = tokio::time::timeout(PATIENCE, found)
            .await
            .expect("logic joins in time")
            .unwrap()
            .iter()
            .find(|m| m.id == member)
            .unwrap()
            .address
            .clone();
        Logic { address, member, shutdown, health, running }
    }

    /// Writes a raw record to the conversation's partition.
    pub async fn write(&self, conversation: u64, payload: Vec<u8>) -> u64 {
        let partition =
            SlotCount::new(PARTITIONS).unwrap().of_conversation(ConversationId::new(conversation).unwrap());
        let record = Record {
            topic: self.topics.upstream.as_str().into(),
            partition: partition.0,
            key: conversation.to_be_bytes().to_vec().into(),
            payload: payload.into(),
            headers: Vec::new(),
        };
        self.producer.send(record).unwrap().await.unwrap()
    }

    pub async fn ask(&self, user_id: u64, event: upstream::Event) {
        let conversation = match &event {
            upstream::Event::Send(send) => send.conversation_id,
            upstream::Event::Read(read) => read.conversation_id,
            upstream::Event::Typing(typing) => typing.conversation_id,
        };
        let origin = Some(Origin { edge: "edge".into(), connection: user_id });
        self.write(conversation, Upstream { user_id, origin, event: Some(event) }.encode_to_vec()).await;
    }

    pub async fn send(&self, user: u64, conversation_id: u64, id: &str, text: &str) {
        let (client_msg_id, text) = (id.into(), text.into());
        self.ask(
            user,
            upstream::Event::Send(Send { conversation_id, client_msg_id, text, accepted_at_ms: 1 }),
        )
        .await;
    }

    /// The next records for gateways, each with its shard.
    pub async fn downstream(&self, at_least: usize) -> Vec<(u32, Downstream)> {
        let records = drain(&self.downstream, at_least).await;
        records.into_iter().map(|r| (r.partition, Downstream::decode(r.payload).unwrap())).collect()
    }

    pub async fn dead_letters(&self, at_least: usize) -> Vec<gochat_proto::events::DeadLetter> {
        let records = drain(&self.dead_letters, at_least).await;
        records.into_iter().map(|r| gochat_proto::events::DeadLetter::decode(r.payload).unwrap()).collect()
    }

    pub async fn tasks(&self, at_least: usize) -> Vec<gochat_proto::events::Task> {
        let records = drain(&self.tasks, at_least).await;
        records.into_iter().map(|r| gochat_proto::events::Task::decode(r.payload).unwrap()).collect()
    }
}

async fn drain(consumer: &Consumer, at_least: usize) -> Vec<Consumed> {
    let mut records = Vec::new();
    while records.len() < at_least {
        let polled = tokio::time::timeout(PATIENCE, consumer.poll(1_000)).await;
        records.extend(
            polled.unwrap_or_else(|_| panic!("{} of {at_least} records in time", records.len())).unwrap(),
        );
    }
    records
}

pub fn frame(bytes: &[u8]) -> Option<Frame> {
    ServerFrame::decode(bytes).unwrap().frame
}

pub fn shard_of(user: u64) -> u32 {
    SlotCount::new(SHARDS).unwrap().of_user(UserId::new(user).unwrap()).0
}
