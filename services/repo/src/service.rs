//! The three gRPC services, each call a line.

use gochat_db::Db;
use gochat_proto::repo::conversation_repo_server::{ConversationRepo, ConversationRepoServer};
use gochat_proto::repo::message_repo_server::{MessageRepo, MessageRepoServer};
use gochat_proto::repo::user_repo_server::{UserRepo, UserRepoServer};
use gochat_proto::repo::{
    AdvanceReadCursorsRequest, AdvanceReadCursorsResponse, AppendMessagesRequest, AppendMessagesResponse,
    ChangeMembersRequest, ConversationHead, CreateConversationRequest, CreateSessionRequest,
    CreateUserRequest, Credentials, DeleteExpiredRequest, DeleteExpiredResponse, FindUsersRequest,
    FindUsersResponse, GetConversationRequest, GetCredentialsRequest, GetHeadsRequest, GetHeadsResponse,
    GetSessionRequest, ListConversationsRequest, ListConversationsResponse, ListMembersRequest,
    ListMembersResponse, ListMessagesRequest, ListMessagesResponse, ReadStatsRequest, ReadStatsResponse,
    RevokeSessionRequest, RevokeSessionResponse, RotateSessionRequest, Session,
};
use gochat_proto::types::{Conversation, User};
use tonic::service::Routes;
use tonic::{Request, Response, Status, async_trait};

use crate::conversations::{create, head, members, view};
use crate::load::Calls;
use crate::messages::{append, cursors, history, retention, stats};
use crate::store::Store;
use crate::{sessions, users};

/// More than the default 4 MiB: a full batch of the longest messages.
const MAX_REQUEST_BYTES: usize = 72 * 1024 * 1024;

/// The data service over a database; cheap to clone.
#[derive(Clone)]
pub struct Repo(Store);

impl Repo {
    /// The schema has to be there: see [`crate::migrate`].
    pub fn new(db: Db) -> Self {
        Self(Store::new(db))
    }

    /// What is worked on.
    pub(crate) fn calls(&self) -> &Calls {
        &self.0.calls
    }

    /// For a gRPC server.
    pub fn routes(&self) -> Routes {
        let messages = MessageRepoServer::new(self.clone()).max_decoding_message_size(MAX_REQUEST_BYTES);
        Routes::new(UserRepoServer::new(self.clone()))
            .add_service(ConversationRepoServer::new(self.clone()))
            .add_service(messages)
    }
}

#[async_trait]
impl UserRepo for Repo {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<User>, Status> {
        users::create(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn find_users(
        &self,
        request: Request<FindUsersRequest>,
    ) -> Result<Response<FindUsersResponse>, Status> {
        users::find(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn get_credentials(
        &self,
        request: Request<GetCredentialsRequest>,
    ) -> Result<Response<Credentials>, Status> {
        users::credentials(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn create_session(
        &self,
        request: Request<CreateSessionRequest>,
    ) -> Result<Response<Session>, Status> {
        sessions::create(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn get_session(&self, request: Request<GetSessionRequest>) -> Result<Response<Session>, Status> {
        sessions::get(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn rotate_session(
        &self,
        request: Request<RotateSessionRequest>,
    ) -> Result<Response<Session>, Status> {
        sessions::rotate(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn revoke_session(
        &self,
        request: Request<RevokeSessionRequest>,
    ) -> Result<Response<RevokeSessionResponse>, Status> {
        sessions::revoke(&self.0, request.into_inner()).await.map(Response::new)
    }
}

#[async_trait]
impl ConversationRepo for Repo {
    async fn create_conversation(
        &self,
        request: Request<CreateConversationRequest>,
    ) -> Result<Response<ConversationHead>, Status> {
        create::create(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn get_conversation(
        &self,
        request: Request<GetConversationRequest>,
    ) -> Result<Response<Conversation>, Status> {
        view::get(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn list_conversations(
        &self,
        request: Request<ListConversationsRequest>,
    ) -> Result<Response<ListConversationsResponse>, Status> {
        view::list(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn get_heads(
        &self,
        request: Request<GetHeadsRequest>,
    ) -> Result<Response<GetHeadsResponse>, Status> {
        head::get(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn list_members(
        &self,
        request: Request<ListMembersRequest>,
    ) -> Result<Response<ListMembersResponse>, Status> {
        members::list(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn change_members(
        &self,
        request: Request<ChangeMembersRequest>,
    ) -> Result<Response<ConversationHead>, Status> {
        members::change(&self.0, request.into_inner()).await.map(Response::new)
    }
}

#[async_trait]
impl MessageRepo for Repo {
    async fn append_messages(
        &self,
        request: Request<AppendMessagesRequest>,
    ) -> Result<Response<AppendMessagesResponse>, Status> {
        append::append(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn list_messages(
        &self,
        request: Request<ListMessagesRequest>,
    ) -> Result<Response<ListMessagesResponse>, Status> {
        history::list(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn advance_read_cursors(
        &self,
        request: Request<AdvanceReadCursorsRequest>,
    ) -> Result<Response<AdvanceReadCursorsResponse>, Status> {
        cursors::advance(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn delete_expired(
        &self,
        request: Request<DeleteExpiredRequest>,
    ) -> Result<Response<DeleteExpiredResponse>, Status> {
        retention::delete_expired(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn read_stats(
        &self,
        request: Request<ReadStatsRequest>,
    ) -> Result<Response<ReadStatsResponse>, Status> {
        stats::read(&self.0, request.into_inner()).await.map(Response::new)
    }
}
