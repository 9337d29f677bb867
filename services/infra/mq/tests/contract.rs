//! What both backends promise, run on each: in memory, on disk, and on a real Kafka where there is one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod backend;

use std::sync::Arc;
use std::time::Duration;

use backend::{Backend, Fixture};
use bytes::Bytes;
use gochat_mq::{Consumed, Consumer, MAX_RECORD_BYTES, MqError, Producer, Record};

/// Long enough for a busy machine; only a broken promise takes it.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long nothing has to come where nothing may come.
const QUIET: Duration = Duration::from_millis(300);

/// Runs each promise on each backend as a test of its own.
macro_rules! contract {
    ($($promise:ident),+ $(,)?) => {
        contract!(@on memory Memory $($promise),+);
        contract!(@on disk Disk $($promise),+);
        contract!(@on kafka Kafka $($promise),+);
    };
    (@on $module:ident $backend:ident $($promise:ident),+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    let name = concat!("gochat-mq::contract::", stringify!($module), "::", stringify!($promise));
                    if let Some(fixture) = super::Fixture::start(super::Backend::$backend, name).await {
                        tokio::time::timeout(super::PATIENCE, super::$promise(fixture)).await.expect("took too long");
                    }
                }
            )+
        }
    };
}

contract!(
    a_partition_keeps_the_order_of_a_producer,
    a_record_comes_back_as_it_was_sent,
    without_a_commit_reading_starts_at_the_earliest_record,
    a_committed_offset_is_where_reading_resumes,
    a_dropped_poll_loses_no_record,
    a_poll_gives_at_most_what_was_asked_and_waits_only_for_the_first,
    an_unassigned_partition_gives_nothing_more,
    partitions_are_assigned_at_once_while_others_are_read,
    a_reassigned_partition_starts_at_its_commit,
    a_partition_assigned_while_a_poll_waits_is_read,
    two_consumers_share_a_topic_by_partition,
    two_groups_are_independent,
    lag_is_what_the_group_has_not_committed,
    a_record_that_is_too_large_is_refused,
    an_unknown_partition_is_refused,
    a_full_queue_refuses_and_recovers,
    ensuring_a_topic_again_changes_nothing,
    flush_waits_for_all_that_was_sent,
);

fn record(fixture: &Fixture, partition: u32, text: &str) -> Record {
    Record {
        topic: fixture.topic.clone(),
        partition,
        key: Bytes::from_static(b"key"),
        payload: Bytes::copy_from_slice(text.as_bytes()),
        headers: vec![("message-id", Bytes::copy_from_slice(text.as_bytes()))],
    }
}

/// Sends numbered records and waits until all are durable; returns their offsets.
async fn write(
    fixture: &Fixture,
    producer: &Producer,
    partition: u32,
    numbers: std::ops::Range<usize>,
) -> Vec<u64> {
    let sent: Vec<_> =
        numbers.map(|n| producer.send(record(fixture, partition, &n.to_string())).unwrap()).collect();
    let mut offsets = Vec::new();
    for delivery in sent {
        offsets.push(delivery.await.unwrap());
    }
    offsets
}

/// Polls until `count` records came.
async fn read(consumer: &Consumer, count: usize) -> Vec<Consumed> {
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(consumer.poll(count - records.len()).await.unwrap());
    }
    records
}

fn numbers(records: &[Consumed]) -> Vec<usize> {
    records.iter().map(|record| std::str::from_utf8(&record.payload).unwrap().parse().unwrap()).collect()
}

async fn nothing_comes(consumer: &Consumer) {
    let polled = tokio::time::timeout(QUIET, consumer.poll(10)).await;
    assert!(polled.is_err(), "came: {polled:?}");
}

async fn a_partition_keeps_the_order_of_a_producer(fixture: Fixture) {
    let (producer, consumer) = (fixture.mq.producer().unwrap(), fixture.consumer("g"));
    for partition in 0..2 {
        consumer.assign(partition).await.unwrap();
    }
    let mut sent = Vec::new();
    for n in 0..1000 {
        sent.push(producer.send(record(&fixture, n % 2, &n.to_string())).unwrap());
    }
    let records = read(&consumer, 1000).await;
    for partition in 0..2 {
        let of: Vec<_> = records.iter().filter(|r| r.partition == partition).cloned().collect();
        assert_eq!(numbers(&of), (0..1000).filter(|n| n % 2 == partition as usize).collect::<Vec<_>>());
        assert_eq!(of.iter().map(|r| r.offset).collect::<Vec<_>>(), (0..500).collect::<Vec<_>>());
    }
    for (n, delivery) in sent.into_iter().enumerate() {
        assert_eq!(delivery.await.unwrap(), n as u64 / 2);
    }
}

async fn a_record_comes_back_as_it_was_sent(fixture: Fixture) {
    let (producer, consumer) = (fixture.mq.producer().unwrap(), fixture.consumer("g"));
    let sent = Record {
        topic: fixture.topic.clone(),
        partition: 1,
        key: Bytes::from_static(b"\0\xff"),
        payload: Bytes::from(vec![7; 300_000]),
        headers: vec![("message-id", Bytes::from_static(b"1")), ("traceparent", Bytes::new())],
    };
    producer.send(sent.clone()).unwrap().await.unwrap();
    let empty = Record { key: Bytes::new(), payload: Bytes::new(), headers: Vec::new(), ..sent.clone() };
    producer.send(empty).unwrap().await.unwrap();
    consumer.assign(1).await.unwrap();
    let records = read(&consumer, 2).await;
    let headers = sent.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let expected = Consumed { partition: 1, offset: 0, key: sent.key, payload: sent.payload, headers };
    assert_eq!(records[0], expected);
    assert!(records[1].key.is_empty() && records[1].payload.is_empty() && records[1].headers.is_empty());
}

async fn without_a_commit_reading_starts_at_the_earliest_record(fixture: Fixture) {
    let producer = fixture.mq.producer().unwrap();
    write(&fixture, &producer, 0, 0..5).await;
    for _ in 0..2 {
        let consumer = fixture.consumer("g");
        assert_eq!(consumer.assign(0).await.unwrap(), 0);
        assert_eq!(numbers(&read(&consumer, 5).await), [0, 1, 2, 3, 4]);
    }
}

async fn a_committed_offset_is_where_reading_resumes(fixture: Fixture) {
    let producer = fixture.mq.producer().unwrap();
    write(&fixture, &producer, 0, 0..5).await;
    let first = fixture.consumer("g");
    first.assign(0).await.unwrap();
    read(&first, 5).await;
    first.commit(&[(0, 2)]).await.unwrap();
    first.commit(&[(0, 3)]).await.unwrap();
    drop(first);
    let second = fixture.consumer("g");
    assert_eq!(second.assign(0).await.unwrap(), 3);
    assert_eq!(numbers(&read(&second, 2).await), [3, 4]);
}

#[tokio::test]
async fn what_was_delivered_and_committed_survives_a_reopened_folder() {
    let fixture = Fixture::start(Backend::Disk, "").await.unwrap();
    what_was_delivered_and_committed_survives(fixture).await;
}

#[tokio::test]
async fn what_was_delivered_and_committed_survives_a_killed_broker() {
    let name = "gochat-mq::contract::what_was_delivered_and_committed_survives_a_killed_broker";
    let Some(fixture) = Fixture::alone(name).await else { return };
    what_was_delivered_and_committed_survives(fixture).await;
}

async fn what_was_delivered_and_committed_survives(fixture: Fixture) {
    let producer = fixture.mq.producer().unwrap();
    write(&fixture, &producer, 0, 0..50).await;
    let consumer = fixture.consumer("g");
    consumer.assign(0).await.unwrap();
    read(&consumer, 50).await;
    consumer.commit(&[(0, 20)]).await.unwrap();
    drop((producer, consumer));
    let fixture = fixture.restart().await;
    let producer = fixture.mq.producer().unwrap();
    let offsets = write(&fixture, &producer, 0, 50..52).await;
    assert_eq!(offsets, [50, 51]);
    let consumer = fixture.consumer("g");
    assert_eq!(consumer.assign(0).await.unwrap(), 20);
    assert_eq!(numbers(&read(&consumer, 32).await), (20..52).collect::<Vec<_>>());
    let other = fixture.consumer("other");
    assert_eq!(other.assign(0).await.unwrap(), 0);
    assert_eq!(numbers(&read(&other, 52).await), (0..52).collect::<Vec<_>>());
}

#[tokio::test]
async fn clients_go_on_by_themselves_when_a_killed_broker_is_back() {
    let name = "gochat-mq::contract::clients_go_on_by_themselves_when_a_killed_broker_is_back";
    let Some(fixture) = Fixture::alone(name).await else { return };
    let (producer, consumer) = (fixture.mq.producer().unwrap(), fixture.consumer("g"));
    consumer.assign(0).await.unwrap();
    write(&fixture, &producer, 0, 0..10).await;
    assert_eq!(numbers(&read(&consumer, 10).await), (0..10).collect::<Vec<_>>());
    fixture.broker().kill().unwrap();
    assert!(fixture.mq.ping().await.is_err());
    let sent: Vec<_> =
        (10..20).map(|n| producer.send(record(&fixture, 0, &n.to_string())).unwrap()).collect();
    fixture.broker().restart().await.unwrap();
    for delivery in sent {
        delivery.await.unwrap();
    }
    assert_eq!(numbers(&read(&consumer, 10).await), (10..20).collect::<Vec<_>>());
    consumer.commit(&[(0, 20)]).await.unwrap();
    assert_eq!(consumer.lag(0).await.unwrap(), 0);
    fixture.mq.ping().await.unwrap();
}

async fn a_dropped_poll_loses_no_record(fixture: Fixture) {
    let (producer, consumer) = (fixture.mq.producer().unwrap(), Arc::new(fixture.consumer("g")));
    consumer.assign(0).await.unwrap();
    let writer = {
        let (producer, template) = (producer.clone(), record(&fixture, 0, ""));
        tokio::spawn(async move {
            for n in 0..500 {
                let record = Record { payload: Bytes::from(n.to_string()), ..template.clone() };
                producer.send(record).unwrap().await.unwrap();
            }
        })
    };
    let mut records = Vec::new();
    while records.len() < 500 {
        tokio::select! {
            biased;
            polled = consumer.poll(3) => records.extend(polled.unwrap()),
            () = tokio::task::yield_now() => {}
        }
    }
    writer.await.unwrap();
    assert_eq!(numbers(&records), (0..500).collect::<Vec<_>>());
}

async fn a_poll_gives_at_most_what_was_asked_and_waits_only_for_the_first(fixture: Fixture) {
    let (producer, consumer) = (fixture.mq.producer().unwrap(), fixture.consumer("g"));
    write(&fixture, &producer, 0, 0..10).await;
    consumer.assign(0).await.unwrap();
    let mut polled = Vec::new();
    while polled.len() < 10 {
        let records = consumer.poll(4).await.unwrap();
        assert!((1..=4).contains(&records.len()));
        polled.extend(records);
    }
    assert_eq!(numbers(&polled), (0..10).collect::<Vec<_>>());
    nothing_comes(&consumer).await;
    write(&fixture, &producer, 0, 10..11).await;
    assert_eq!(numbers(&consumer.poll(100).await.unwrap()), [10]);
}

async fn an_unassigned_partition_gives_nothing_more(fixture: Fixture) {
    let (producer, consumer) = (fixture.mq.producer().unwrap(), fixture.consumer("g"));
    write(&fixture, &producer, 0, 0..2000).await;
    consumer.assign(0).await.unwrap();
    // The rest is fetched ahead by now.
    assert_eq!(numbers(&read(&consumer, 1).await), [0]);
    consumer.unassign(0).await.unwrap();
    nothing_comes(&consumer).await;
    consumer.unassign(0).await.unwrap();
    write(&fixture, &producer, 1, 0..1).await;
    consumer.assign(1).await.unwrap();
    let records = consumer.poll(100).await.unwrap();
    assert_eq!(records.iter().map(|r| r.partition).collect::<Vec<_>>(), [1]);
}

/// In Kafka a fetch waits at the broker for records: an assignment must not wait behind it each time.
async fn partitions_are_assigned_at_once_while_others_are_read(fixture: Fixture) {
    let consumer = fixture.consumer("g");
    consumer.assign(0).await.unwrap();
    let begun = std::time::Instant::now();
    let assign = async {
        for _ in 0..50 {
            consumer.assign(1).await.unwrap();
            consumer.unassign(1).await.unwrap();
        }
    };
    tokio::select! {
        () = assign => {}
        polled = consumer.poll(1) => panic!("nothing was written: {polled:?}"),
    }
    // It took 5 s while it did; 0.3 s is usual.
    assert!(begun.elapsed() < Duration::from_secs(4), "took {:?}", begun.elapsed());
}

async fn a_reassigned_partition_starts_at_its_commit(fixture: Fixture) {
    let (producer, consumer) = (fixture.mq.producer().unwrap(), fixture.consumer("g"));
    write(&fixture, &producer, 0, 0..2000).await;
    consumer.assign(0).await.unwrap();
    read(&consumer, 100).await;
    consumer.commit(&[(0, 10)]).await.unwrap();
    consumer.unassign(0).await.unwrap();
    assert_eq!(consumer.assign(0).await.unwrap(), 10);
    assert_eq!(numbers(&read(&consumer, 1990).await), (10..2000).collect::<Vec<_>>());
    // An assignment on top of one starts again as well.
    assert_eq!(consumer.assign(0).await.unwrap(), 10);
    assert_eq!(numbers(&read(&consumer, 1990).await), (10..2000).collect::<Vec<_>>());
    nothing_comes(&consumer).await;
}

async fn a_partition_assigned_while_a_poll_waits_is_read(fixture: Fixture) {
    let (producer, consumer) = (fixture.mq.producer().unwrap(), fixture.consumer("g"));
    write(&fixture, &producer, 1, 0..1).await;
    consumer.assign(0).await.unwrap();
    let (polled, assigned) = tokio::join!(consumer.poll(10), consumer.assign(1));
    assigned.unwrap();
    assert_eq!(polled.unwrap()[0].partition, 1);
}

async fn two_consumers_share_a_topic_by_partition(fixture: Fixture) {
    let producer = fixture.mq.producer().unwrap();
    let (left, right) = (fixture.consumer("g"), fixture.consumer("g"));
    left.assign(0).await.unwrap();
    right.assign(1).await.unwrap();
    write(&fixture, &producer, 0, 0..10).await;
    write(&fixture, &producer, 1, 10..20).await;
    assert_eq!(numbers(&read(&left, 10).await), (0..10).collect::<Vec<_>>());
    assert_eq!(numbers(&read(&right, 10).await), (10..20).collect::<Vec<_>>());
    left.commit(&[(0, 10)]).await.unwrap();
    right.commit(&[(1, 4)]).await.unwrap();
    assert_eq!(left.lag(0).await.unwrap(), 0);
    assert_eq!(left.lag(1).await.unwrap(), 6);
}

async fn two_groups_are_independent(fixture: Fixture) {
    let producer = fixture.mq.producer().unwrap();
    write(&fixture, &producer, 0, 0..5).await;
    let (one, two) = (fixture.consumer("one"), fixture.consumer("two"));
    one.assign(0).await.unwrap();
    read(&one, 5).await;
    one.commit(&[(0, 5)]).await.unwrap();
    assert_eq!(two.assign(0).await.unwrap(), 0);
    assert_eq!(numbers(&read(&two, 5).await), [0, 1, 2, 3, 4]);
}

async fn lag_is_what_the_group_has_not_committed(fixture: Fixture) {
    let (producer, consumer) = (fixture.mq.producer().unwrap(), fixture.consumer("g"));
    consumer.assign(0).await.unwrap();
    assert_eq!(consumer.lag(0).await.unwrap(), 0);
    write(&fixture, &producer, 0, 0..7).await;
    assert_eq!(consumer.lag(0).await.unwrap(), 7);
    read(&consumer, 7).await;
    assert_eq!(consumer.lag(0).await.unwrap(), 7);
    consumer.commit(&[(0, 5)]).await.unwrap();
    assert_eq!(consumer.lag(0).await.unwrap(), 2);
    write(&fixture, &producer, 1, 0..3).await;
    assert_eq!(fixture.consumer("g").lags(2).await.unwrap(), [2, 3], "also where nothing is assigned");
}

async fn a_record_that_is_too_large_is_refused(fixture: Fixture) {
    let producer = fixture.mq.producer().unwrap();
    let of = |bytes| Record {
        payload: Bytes::from(vec![1; bytes]),
        key: Bytes::new(),
        headers: Vec::new(),
        ..record(&fixture, 0, "")
    };
    let refused = producer.send(of(MAX_RECORD_BYTES + 1)).map(|_| ()).unwrap_err();
    assert_eq!(refused, MqError::TooLarge { bytes: MAX_RECORD_BYTES + 1, max: MAX_RECORD_BYTES });
    producer.send(of(MAX_RECORD_BYTES)).unwrap().await.unwrap();
    let consumer = fixture.consumer("g");
    consumer.assign(0).await.unwrap();
    assert_eq!(read(&consumer, 1).await[0].payload.len(), MAX_RECORD_BYTES);
}

async fn an_unknown_partition_is_refused(fixture: Fixture) {
    let (producer, consumer) = (fixture.mq.producer().unwrap(), fixture.consumer("g"));
    write(&fixture, &producer, 0, 0..1).await;
    let outcome = match producer.send(record(&fixture, 99, "lost")) {
        Ok(delivery) => delivery.await.map(|_| ()),
        Err(error) => Err(error),
    };
    let refused = MqError::NoPartition { topic: fixture.topic.to_string(), partition: 99 };
    assert_eq!(outcome, Err(refused.clone()));
    assert_eq!(consumer.assign(99).await, Err(refused));
    let nowhere = fixture.mq.consumer("g", "no-such-topic").unwrap();
    assert!(matches!(nowhere.assign(0).await, Err(MqError::NoPartition { .. })));
    assert!(matches!(fixture.mq.partitions("no-such-topic").await, Err(MqError::NoPartition { .. })));
}

/// In memory a record is there when `send` returns: its queue is never full.
async fn a_full_queue_refuses_and_recovers(fixture: Fixture) {
    let producer = fixture.mq.producer().unwrap();
    write(&fixture, &producer, 0, 0..1).await;
    let mut sent = Vec::new();
    let mut refused = 0;
    for n in 0..Fixture::QUEUE_RECORDS * 50 {
        match producer.send(record(&fixture, 0, &n.to_string())) {
            Ok(delivery) => sent.push(delivery),
            Err(error) => {
                assert_eq!(error, MqError::QueueFull);
                refused += 1;
            }
        }
    }
    assert_eq!(refused > 0, fixture.backend != Backend::Memory);
    let accepted = sent.len();
    for delivery in sent {
        delivery.await.unwrap();
    }
    assert_eq!(write(&fixture, &producer, 0, 0..1).await, [accepted as u64 + 1]);
}

async fn ensuring_a_topic_again_changes_nothing(fixture: Fixture) {
    let producer = fixture.mq.producer().unwrap();
    write(&fixture, &producer, 0, 0..1).await;
    fixture.ensure(5).await;
    assert_eq!(fixture.mq.partitions(&fixture.topic).await.unwrap(), Fixture::PARTITIONS);
    assert_eq!(write(&fixture, &producer, 0, 0..1).await, [1]);
    fixture.mq.ping().await.unwrap();
}

async fn flush_waits_for_all_that_was_sent(fixture: Fixture) {
    let producer = fixture.mq.producer().unwrap();
    let sent: Vec<_> = (0..100).map(|n| producer.send(record(&fixture, n % 2, "x")).unwrap()).collect();
    producer.flush(PATIENCE).await.unwrap();
    for delivery in sent {
        assert!(futures::FutureExt::now_or_never(delivery).expect("not delivered by flush").is_ok());
    }
}
