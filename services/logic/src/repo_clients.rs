//! The way to repo.

use std::future::Future;
use std::time::Duration;

use gochat_chassis::Shutdown;
use gochat_coord::Coord;
use gochat_core::Workload;
use gochat_member::Peer;
use gochat_proto::repo::conversation_repo_client::ConversationRepoClient;
use gochat_proto::repo::message_repo_client::MessageRepoClient;
use gochat_proto::repo::user_repo_client::UserRepoClient;
use tonic::transport::Channel;
use tonic::{Response, Status};

/// More than the default 4 MiB: a page of 500 of the longest messages.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Clients of repo; cheap to clone.
#[derive(Clone)]
pub(crate) struct Repo(Peer);

impl Repo {
    pub(crate) fn connect(coord: &Coord, timeout: Duration, shutdown: &Shutdown) -> Self {
        Self(Peer::connect(coord, Workload::Repo, timeout, shutdown))
    }

    pub(crate) fn users(&self) -> UserRepoClient<Channel> {
        UserRepoClient::new(self.0.channel())
    }

    pub(crate) fn conversations(&self) -> ConversationRepoClient<Channel> {
        ConversationRepoClient::new(self.0.channel()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub(crate) fn messages(&self) -> MessageRepoClient<Channel> {
        MessageRepoClient::new(self.0.channel()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Awaits a call, but not past the deadline.
    pub(crate) async fn ask<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Status> {
        self.0.ask(call).await
    }
}
