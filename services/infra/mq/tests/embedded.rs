//! What only the embedded log has to promise: its files, its memory, its limits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use gochat_mq::{Consumed, Consumer, Mq, MqConfig, MqError, Producer, Record, TopicSpec};
use proptest::prelude::*;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

async fn open(path: &Path, retention_bytes: u64) -> Result<Mq, MqError> {
    let path = path.to_str().unwrap().to_owned();
    let mq = Mq::connect(&MqConfig { path, retention_bytes, ..MqConfig::default() }).await?;
    mq.ensure_topics(&[TopicSpec { name: "t".into(), partitions: 2, replication: 1 }]).await?;
    Ok(mq)
}

fn record(n: usize, bytes: usize) -> Record {
    let mut payload = n.to_string().into_bytes();
    payload.resize(bytes.max(payload.len()), b' ');
    Record {
        topic: "t".into(),
        partition: 0,
        key: Bytes::new(),
        payload: payload.into(),
        headers: Vec::new(),
    }
}

async fn write(producer: &Producer, numbers: std::ops::Range<usize>, bytes: usize) -> Vec<u64> {
    let sent: Vec<_> = numbers.map(|n| producer.send(record(n, bytes)).unwrap()).collect();
    let mut offsets = Vec::new();
    for delivery in sent {
        offsets.push(delivery.await.unwrap());
    }
    offsets
}

async fn read(consumer: &Consumer, count: usize) -> Vec<usize> {
    let mut records: Vec<Consumed> = Vec::new();
    while records.len() < count {
        records.extend(consumer.poll(count - records.len()).await.unwrap());
    }
    records.iter().map(|r| std::str::from_utf8(&r.payload).unwrap().trim().parse().unwrap()).collect()
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut segments: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "journal")).collect();
    segments.sort();
    segments
}

fn size(folder: &Path) -> u64 {
    segments(folder).iter().map(|path| fs::metadata(path).unwrap().len()).sum()
}

#[tokio::test]
async fn a_reader_that_lags_reads_from_disk_what_memory_no_longer_holds() {
    let folder = TempDir::new().unwrap();
    let mq = open(folder.path(), 64 * MIB).await.unwrap();
    let (producer, consumer) = (mq.producer().unwrap(), mq.consumer("g", "t").unwrap());
    write(&producer, 0..4000, 1000).await;
    consumer.assign(0).await.unwrap();
    assert_eq!(read(&consumer, 4000).await, (0..4000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_poll_dropped_while_it_reads_the_disk_loses_no_record() {
    let folder = TempDir::new().unwrap();
    let mq = open(folder.path(), 64 * MIB).await.unwrap();
    let (producer, consumer) = (mq.producer().unwrap(), mq.consumer("g", "t").unwrap());
    write(&producer, 0..4000, 1000).await;
    consumer.assign(0).await.unwrap();
    let mut numbers = Vec::new();
    while numbers.len() < 4000 {
        tokio::select! {
            biased;
            polled = consumer.poll(100) => {
                numbers.extend(polled.unwrap().iter().map(|r| r.offset));
                // The next one is dropped at its first wait.
                assert!(futures::FutureExt::now_or_never(consumer.poll(100)).is_none_or(|polled| {
                    numbers.extend(polled.unwrap().iter().map(|r| r.offset));
                    true
                }));
            }
        }
    }
    assert_eq!(numbers, (0..4000).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_committed_is_deleted_past_the_retention_and_offsets_go_on() {
    let folder = TempDir::new().unwrap();
    let mq = open(folder.path(), MIB).await.unwrap();
    let (producer, consumer) = (mq.producer().unwrap(), mq.consumer("g", "t").unwrap());
    consumer.assign(0).await.unwrap();
    for round in 0..20 {
        write(&producer, round * 500..(round + 1) * 500, 1000).await;
        read(&consumer, 500).await;
        consumer.commit(&[(0, (round as u64 + 1) * 500)]).await.unwrap();
    }
    producer.flush(std::time::Duration::from_secs(10)).await.unwrap();
    write(&producer, 10_000..10_001, 1).await;
    assert!(size(folder.path()) < 2 * MIB, "{} bytes", size(folder.path()));
    drop((mq, producer, consumer));
    let mq = open(folder.path(), MIB).await.unwrap();
    let (producer, consumer) = (mq.producer().unwrap(), mq.consumer("g", "t").unwrap());
    assert_eq!(consumer.assign(0).await.unwrap(), 10_000);
    assert_eq!(write(&producer, 10_001..10_002, 1).await, [10_001]);
    assert_eq!(read(&consumer, 2).await, [10_000, 10_001]);
    let fresh = mq.consumer("fresh", "t").unwrap();
    let earliest = fresh.assign(0).await.unwrap();
    assert!(earliest > 0 && earliest < 10_000, "earliest {earliest}");
    assert_eq!(read(&fresh, 1).await, [usize::try_from(earliest).unwrap()]);
}

/// Writes without a commit until the log refuses, reads all of it, commits, and writes again.
async fn refuses_rather_than_drops(mq: Mq) {
    let (producer, consumer) = (mq.producer().unwrap(), mq.consumer("g", "t").unwrap());
    consumer.assign(0).await.unwrap();
    let mut sent = 0;
    let refused = loop {
        match producer.send(record(sent, 10_000)) {
            Ok(delivery) => delivery.await.unwrap(),
            Err(error) => break error,
        };
        sent += 1;
    };
    assert_eq!(refused, MqError::QueueFull);
    assert!((400..600).contains(&sent), "{sent} records of 10 kB are four times the retention");
    assert_eq!(read(&consumer, sent).await, (0..sent).collect::<Vec<_>>());
    consumer.commit(&[(0, sent as u64)]).await.unwrap();
    producer.flush(std::time::Duration::from_secs(10)).await.unwrap();
    assert_eq!(write(&producer, sent..sent + 1, 1).await, [sent as u64]);
}

#[tokio::test]
async fn on_disk_a_group_that_lags_makes_the_log_refuse_and_not_drop() {
    let folder = TempDir::new().unwrap();
    refuses_rather_than_drops(open(folder.path(), MIB).await.unwrap()).await;
}

#[tokio::test]
async fn in_memory_a_group_that_lags_makes_the_log_refuse_and_not_drop() {
    refuses_rather_than_drops(open(Path::new(""), MIB).await.unwrap()).await;
}

#[tokio::test]
async fn in_memory_what_nobody_reads_does_not_grow_for_ever() {
    let mq = open(Path::new(""), MIB).await.unwrap();
    let producer = mq.producer().unwrap();
    for n in 0..2000 {
        producer.send(record(n, 10_000)).unwrap().await.unwrap();
    }
    let consumer = mq.consumer("g", "t").unwrap();
    assert!(consumer.assign(0).await.unwrap() > 1000);
}

#[tokio::test]
async fn a_folder_in_use_is_refused() {
    let folder = TempDir::new().unwrap();
    let first = open(folder.path(), MIB).await.unwrap();
    let refused = open(folder.path(), MIB).await.map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("another process has it open"), "{refused}");
    drop(first);
    open(folder.path(), MIB).await.unwrap();
}

#[tokio::test]
async fn damage_before_the_last_segment_is_refused_and_not_skipped() {
    let folder = TempDir::new().unwrap();
    let mq = open(folder.path(), 8 * MIB).await.unwrap();
    let producer = mq.producer().unwrap();
    for round in 0..4 {
        write(&producer, round * 500..(round + 1) * 500, 1000).await;
    }
    drop((mq, producer));
    let first = &segments(folder.path())[0];
    let mut bytes = fs::read(first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(first, bytes).unwrap();
    let refused = open(folder.path(), 8 * MIB).await.map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("is damaged at byte"), "{refused}");
}

/// Acknowledges records, then leaves the folder as a crash in the middle of the next write would: a part of a frame
/// follows. Where even the snapshot of a new segment is torn, the segment before it has everything.
async fn survives_a_torn_tail(records: usize, torn: usize, new_segment: bool) {
    let folder = TempDir::new().unwrap();
    let mq = open(folder.path(), MIB).await.unwrap();
    let producer = mq.producer().unwrap();
    write(&producer, 0..records, 50).await;
    drop((mq, producer));
    let active = segments(folder.path()).pop().unwrap();
    let mut bytes = fs::read(&active).unwrap();
    // The file begins with a whole frame; a proper prefix of it is a torn one.
    let whole = 8 + u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
    let torn = bytes[..torn % whole].to_vec();
    if new_segment {
        fs::write(folder.path().join("0000000002.journal"), torn).unwrap();
    } else {
        bytes.extend(torn);
        fs::write(&active, bytes).unwrap();
    }
    for round in 0..2 {
        let mq = open(folder.path(), MIB).await.unwrap();
        let (producer, consumer) = (mq.producer().unwrap(), mq.consumer("g", "t").unwrap());
        let offsets = write(&producer, records + round..records + round + 1, 50).await;
        assert_eq!(offsets, [(records + round) as u64]);
        consumer.assign(0).await.unwrap();
        assert_eq!(read(&consumer, records + round + 1).await, (0..=records + round).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_tail_torn_at_any_byte_loses_no_acknowledged_record(
        records in 1_usize..30, torn in 0_usize..1000, new_segment: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(survives_a_torn_tail(records, torn, new_segment));
    }
}
