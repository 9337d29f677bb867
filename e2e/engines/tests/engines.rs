//! The engines do what the tests of everything else rely on.

use gochat_engines::{Engine, Etcd, Kafka, MariaDb, Redis, Stack, missing};
use tokio::net::TcpStream;

macro_rules! a_killed_engine_comes_back_at_its_address {
    ($test:ident, $engine:ident) => {
        #[tokio::test]
        async fn $test() {
            if missing(stringify!($test), &[Engine::$engine]) {
                return;
            }
            let engine = $engine::start().await.unwrap();
            let first = engine.pid().unwrap();
            engine.kill().unwrap();
            assert_eq!(engine.pid(), None);
            assert!(TcpStream::connect(engine.address()).await.is_err(), "it still listens");
            engine.restart().await.unwrap();
            assert_ne!(engine.pid(), Some(first));
            TcpStream::connect(engine.address()).await.unwrap();
        }
    };
}

a_killed_engine_comes_back_at_its_address!(a_killed_kafka_comes_back_at_its_address, Kafka);
a_killed_engine_comes_back_at_its_address!(a_killed_mariadb_comes_back_at_its_address, MariaDb);
a_killed_engine_comes_back_at_its_address!(a_killed_redis_comes_back_at_its_address, Redis);
a_killed_engine_comes_back_at_its_address!(a_killed_etcd_comes_back_at_its_address, Etcd);

#[tokio::test]
async fn a_dropped_stack_leaves_no_process() {
    if missing("a_dropped_stack_leaves_no_process", &Engine::ALL) {
        return;
    }
    let stack = Stack::start_all().await.unwrap();
    let pids = stack.pids();
    assert_eq!(pids.len(), 4);
    drop(stack);
    for (name, pid) in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{name} still runs");
    }
}
