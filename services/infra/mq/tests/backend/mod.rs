//! A log of each kind for one test, and the way to end it hard and find it again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gochat_engines::{Engine, Kafka};
use gochat_mq::{Consumer, Mq, MqConfig, TopicSpec};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// Which log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Memory,
    Disk,
    Kafka,
}

/// A log with one topic of its own.
pub(crate) struct Fixture {
    pub(crate) backend: Backend,
    pub(crate) mq: Mq,
    pub(crate) topic: Arc<str>,
    config: MqConfig,
    folder: Option<TempDir>,
    /// Of a test that kills it.
    own_broker: Option<Kafka>,
}

/// One broker for all tests that don't kill it: topics keep them apart.
static BROKER: OnceCell<Kafka> = OnceCell::const_new();
static TOPICS: AtomicU32 = AtomicU32::new(0);

impl Fixture {
    pub(crate) const PARTITIONS: u32 = 2;
    pub(crate) const QUEUE_RECORDS: u32 = 2_000;

    /// `None` if the engine is missing; then the test was skipped loudly.
    pub(crate) async fn start(backend: Backend, test: &str) -> Option<Self> {
        let mut config = MqConfig { queue_records: Self::QUEUE_RECORDS, ..MqConfig::default() };
        let mut folder = None;
        match backend {
            Backend::Memory => {}
            Backend::Disk => {
                let made = tempfile::tempdir().unwrap();
                made.path().to_str().unwrap().clone_into(&mut config.path);
                folder = Some(made);
            }
            Backend::Kafka => {
                if gochat_engines::missing(test, &[Engine::Kafka]) {
                    return None;
                }
                let broker = BROKER.get_or_init(|| async { Kafka::start().await.unwrap() }).await;
                config.bootstrap = broker.address();
            }
        }
        Some(Self::open(backend, config, folder, None).await)
    }

    /// A broker of its own.
    pub(crate) async fn alone(test: &str) -> Option<Self> {
        if gochat_engines::missing(test, &[Engine::Kafka]) {
            return None;
        }
        let broker = Kafka::start().await.unwrap();
        let config = MqConfig { bootstrap: broker.address(), ..MqConfig::default() };
        Some(Self::open(Backend::Kafka, config, None, Some(broker)).await)
    }

    async fn open(
        backend: Backend,
        config: MqConfig,
        folder: Option<TempDir>,
        own_broker: Option<Kafka>,
    ) -> Self {
        let topic = format!("test-{}", TOPICS.fetch_add(1, Ordering::Relaxed)).into();
        let mq = Mq::connect(&config).await.unwrap();
        let fixture = Self { backend, mq, topic, config, folder, own_broker };
        fixture.ensure(Self::PARTITIONS).await;
        fixture
    }

    pub(crate) async fn ensure(&self, partitions: u32) {
        let spec = TopicSpec { name: self.topic.to_string(), partitions, replication: 1 };
        self.mq.ensure_topics(&[spec]).await.unwrap();
    }

    pub(crate) fn consumer(&self, group: &str) -> Consumer {
        // Groups are global in Kafka.
        self.mq.consumer(&format!("{group}-{}", self.topic), &self.topic).unwrap()
    }

    pub(crate) fn broker(&self) -> &Kafka {
        self.own_broker.as_ref().unwrap()
    }

    /// Ends the log (a broker by SIGKILL) and opens it again.
    pub(crate) async fn restart(self) -> Self {
        let Self { backend, mq, topic, config, folder, own_broker } = self;
        drop(mq);
        if let Some(broker) = &own_broker {
            broker.restart().await.unwrap();
        }
        let mq = Mq::connect(&config).await.unwrap();
        Self { backend, mq, topic, config, folder, own_broker }
    }
}
