//! Append and poll on each log. `GOCHAT_BENCH_KAFKA=host:port` adds a running Kafka.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gochat_mq::{Consumer, Mq, MqConfig, Producer, Record, TopicSpec};

/// A batch as a busy service has it.
const BATCH: usize = 1_000;
const PARTITIONS: u32 = 16;

struct Log {
    topic: std::sync::Arc<str>,
    producer: Producer,
    consumer: Consumer,
}

impl Log {
    async fn open(config: MqConfig) -> Self {
        let topic = format!("bench-{}", std::process::id());
        let mq = Mq::connect(&config).await.unwrap();
        let spec = TopicSpec { name: topic.clone(), partitions: PARTITIONS, replication: 1 };
        mq.ensure_topics(&[spec]).await.unwrap();
        let consumer = mq.consumer(&topic, &topic).unwrap();
        for partition in 0..PARTITIONS {
            consumer.assign(partition).await.unwrap();
        }
        let log = Self { topic: topic.into(), producer: mq.producer().unwrap(), consumer };
        // The first record of an idempotent producer waits for its id.
        log.pass(1).await;
        log
    }

    /// Sends so many records of 200 bytes, waits until they are durable, reads and commits them.
    async fn pass(&self, records: usize) {
        let mut sent = Vec::with_capacity(records);
        for n in 0..records {
            let record = Record {
                topic: self.topic.clone(),
                partition: u32::try_from(n).unwrap() % PARTITIONS,
                key: Bytes::from_static(b"12345678"),
                payload: Bytes::from_static(&[7; 200]),
                headers: vec![("message-id", Bytes::from_static(b"1234567890123456"))],
            };
            sent.push(self.producer.send(record).unwrap());
        }
        let mut ends = [0; PARTITIONS as usize];
        let mut read = 0;
        while read < records {
            for record in self.consumer.poll(500).await.unwrap() {
                ends[record.partition as usize] = record.offset + 1;
                read += 1;
            }
        }
        for delivery in sent {
            delivery.await.unwrap();
        }
        let offsets: Vec<_> = (0..).zip(ends).filter(|&(_, end)| end > 0).collect();
        self.consumer.commit(&offsets).await.unwrap();
    }
}

fn logs(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().to_str().unwrap().to_owned();
    let mut configs =
        vec![("memory", MqConfig::default()), ("disk", MqConfig { path: disk, ..MqConfig::default() })];
    if let Ok(bootstrap) = std::env::var("GOCHAT_BENCH_KAFKA") {
        configs.push(("kafka", MqConfig { bootstrap, ..MqConfig::default() }));
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (name, config) in configs {
        let log = runtime.block_on(Log::open(config));
        let mut group = criterion.benchmark_group("log");
        group.sample_size(20);
        for records in [1, BATCH] {
            group.throughput(Throughput::Elements(records as u64));
            group.bench_function(BenchmarkId::new(name, records), |bencher| {
                bencher.to_async(&runtime).iter(|| log.pass(records));
            });
        }
        group.finish();
        let _inside = runtime.enter();
        drop(log);
    }
}

criterion_group!(benches, logs);
criterion_main!(benches);
