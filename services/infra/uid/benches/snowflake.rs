//! How close one worker comes to the layout's bound of 4,096 ids a millisecond, alone and with threads in each
//! other's way. A used-up millisecond is waited for, so more than 4.096 M/s can't be seen here.
#![allow(missing_docs, clippy::expect_used, reason = "a bench")]

use std::hint::{black_box, spin_loop};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gochat_coord::{Coord, CoordConfig};
use gochat_uid::{Snowflake, UidError};

fn id(ids: &Snowflake) -> u64 {
    loop {
        match ids.try_next() {
            Err(UidError::Exhausted) => spin_loop(),
            other => return other.expect("a worker is held"),
        }
    }
}

fn with_threads(ids: &Snowflake, threads: u64, iterations: u64) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..iterations / threads {
                    black_box(id(ids));
                }
            });
        }
    });
    start.elapsed()
}

fn snowflake(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ids = runtime.block_on(async {
        let coord = Coord::connect(&CoordConfig::default()).await.expect("in process");
        Snowflake::lease(&coord).await.expect("a worker")
    });
    let mut group = c.benchmark_group("snowflake");
    group.throughput(Throughput::Elements(1));
    group.bench_function("1 thread", |b| b.iter(|| id(&ids)));
    group.bench_function("2 threads", |b| b.iter_custom(|n| with_threads(&ids, 2, n.max(2))));
    group.finish();
}

criterion_group!(benches, snowflake);
criterion_main!(benches);
