//! AppendMessages on SQLite in memory: what the code costs, without a disk.

use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gochat_db::{Db, DbConfig};
use gochat_proto::repo::conversation_repo_server::ConversationRepo;
use gochat_proto::repo::message_repo_server::MessageRepo;
use gochat_proto::repo::{AppendMessagesRequest, CreateConversationRequest, NewMessage};
use gochat_proto::types::ConversationKind;
use gochat_repo::Repo;
use tonic::Request;

const CONVERSATIONS: u64 = 500;

async fn repo() -> anyhow::Result<Repo> {
    let db = Db::connect(&DbConfig::default()).await?;
    gochat_repo::migrate(&db).await?;
    let repo = Repo::new(db);
    for conversation_id in 1..=CONVERSATIONS {
        let request = CreateConversationRequest {
            conversation_id,
            kind: ConversationKind::Direct.into(),
            title: String::new(),
            member_ids: vec![conversation_id, conversation_id + CONVERSATIONS],
        };
        repo.create_conversation(Request::new(request)).await?;
    }
    Ok(repo)
}

fn batch(size: u64, next: &AtomicU64) -> Request<AppendMessagesRequest> {
    let first = next.fetch_add(size, Ordering::Relaxed);
    let messages = (first..first + size)
        .map(|id| NewMessage {
            message_id: id,
            conversation_id: id % CONVERSATIONS + 1,
            sender_id: id % CONVERSATIONS + 1,
            client_msg_id: id.to_string(),
            text: "x".repeat(200),
            sent_at_ms: 1,
            members_version: 1,
        })
        .collect();
    Request::new(AppendMessagesRequest { messages })
}

fn append(criterion: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return };
    let Ok(repo) = runtime.block_on(repo()) else { return };
    let next = AtomicU64::new(1);
    let mut group = criterion.benchmark_group("append");
    for size in [1, 16, 256] {
        group.throughput(Throughput::Elements(size));
        group.bench_with_input(BenchmarkId::from_parameter(size), &size, |bencher, size| {
            bencher.to_async(&runtime).iter(|| repo.append_messages(batch(*size, &next)));
        });
    }
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
