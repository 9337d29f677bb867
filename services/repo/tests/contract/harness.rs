//! A repo on a database of its own, and short ways to call it.

use std::sync::atomic::{AtomicU64, Ordering};

use gochat_db::{Db, DbConfig};
use gochat_engines::{Engine, MariaDb, missing};
use gochat_proto::repo::append_result::Status as Stored;
use gochat_proto::repo::conversation_repo_server::ConversationRepo;
use gochat_proto::repo::message_repo_server::MessageRepo;
use gochat_proto::repo::{
    AppendMessagesRequest, AppendResult, ConversationHead, CreateConversationRequest, ListMessagesRequest,
    ListMessagesResponse, NewMessage,
};
use gochat_proto::types::{Conversation, ConversationKind};
use gochat_repo::Repo;
use tonic::{Request, Status};

pub(crate) struct Harness {
    pub(crate) repo: Repo,
    ids: AtomicU64,
    _keep: (Option<tempfile::TempDir>, Option<MariaDb>),
}

impl Harness {
    pub(crate) async fn memory() -> Self {
        Self::over("sqlite::memory:".into(), (None, None)).await
    }

    pub(crate) async fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::over(format!("sqlite://{}/d/gochat.db", folder.path().display()), (Some(folder), None)).await
    }

    pub(crate) async fn mariadb(test: &str) -> Option<Self> {
        if missing(test, &[Engine::MariaDb]) {
            return None;
        }
        let server = MariaDb::start().await.unwrap();
        Some(Self::over(server.url(), (None, Some(server))).await)
    }

    async fn over(url: String, keep: (Option<tempfile::TempDir>, Option<MariaDb>)) -> Self {
        let timeout = std::time::Duration::from_secs(20);
        let config = DbConfig { url, acquire_timeout: timeout, ..DbConfig::default() };
        let db = Db::connect(&config).await.unwrap();
        // As several processes that start together do.
        let all =
            tokio::join!(gochat_repo::migrate(&db), gochat_repo::migrate(&db), gochat_repo::migrate(&db));
        all.0.and(all.1).and(all.2).unwrap();
        Self { repo: Repo::new(db), ids: AtomicU64::new(7_300_000_000_000_000_000), _keep: keep }
    }

    pub(crate) fn server(&self) -> Option<&MariaDb> {
        self._keep.1.as_ref()
    }

    /// How many entries of indices MySQL has stepped over since it started.
    pub(crate) async fn entries_read(&self) -> Option<u64> {
        const READ: &str = "SELECT CAST(SUM(VARIABLE_VALUE) AS SIGNED) FROM information_schema.GLOBAL_STATUS \
                            WHERE VARIABLE_NAME IN ('HANDLER_READ_NEXT', 'HANDLER_READ_PREV')";
        let config = DbConfig { url: self.server()?.url(), ..DbConfig::default() };
        let rows = Db::connect(&config).await.unwrap().fetch(READ, &[]).await.unwrap();
        Some(rows[0].uint(0).unwrap())
    }

    pub(crate) fn id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) async fn group(&self, members: &[u64]) -> u64 {
        let head = self.create(ConversationKind::Group, members).await.unwrap();
        head.conversation_id
    }

    pub(crate) async fn create(
        &self,
        kind: ConversationKind,
        members: &[u64],
    ) -> Result<ConversationHead, Status> {
        let request = CreateConversationRequest {
            conversation_id: self.id(),
            kind: kind.into(),
            title: "Grüße 🎉".into(),
            member_ids: members.to_vec(),
        };
        call(self.repo.create_conversation(Request::new(request)).await)
    }

    pub(crate) fn message(&self, conversation_id: u64, sender_id: u64, client_msg_id: &str) -> NewMessage {
        NewMessage {
            message_id: self.id(),
            conversation_id,
            sender_id,
            client_msg_id: client_msg_id.into(),
            text: format!("text of {client_msg_id} 🎉"),
            sent_at_ms: 1_000,
            members_version: 1,
        }
    }

    pub(crate) async fn append(&self, messages: Vec<NewMessage>) -> Vec<AppendResult> {
        call(self.repo.append_messages(Request::new(AppendMessagesRequest { messages })).await)
            .unwrap()
            .results
    }

    /// Appends `n` messages of a sender; returns the last seq.
    pub(crate) async fn say(&self, conversation: u64, sender: u64, n: u64) -> u64 {
        let batch = (0..n).map(|_| self.message(conversation, sender, &self.id().to_string())).collect();
        let results = self.append(batch).await;
        assert!(results.iter().all(|r| r.status() == Stored::Stored), "{results:?}");
        results.last().unwrap().seq
    }

    pub(crate) async fn history(
        &self,
        conversation_id: u64,
        after_seq: Option<u64>,
        before_seq: Option<u64>,
        limit: u32,
    ) -> ListMessagesResponse {
        let request = ListMessagesRequest { conversation_id, after_seq, before_seq, limit };
        call(self.repo.list_messages(Request::new(request)).await).unwrap()
    }

    pub(crate) async fn view(&self, conversation_id: u64, viewer_id: u64) -> Result<Conversation, Status> {
        let request = gochat_proto::repo::GetConversationRequest { conversation_id, viewer_id };
        call(self.repo.get_conversation(Request::new(request)).await)
    }
}

pub(crate) fn call<T>(answer: Result<tonic::Response<T>, Status>) -> Result<T, Status> {
    answer.map(tonic::Response::into_inner)
}
