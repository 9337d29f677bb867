//! Logic, as the gateway calls it.

use gochat_proto::logic::auth_service_client::AuthServiceClient;
use gochat_proto::logic::chat_service_client::ChatServiceClient;
use gochat_proto::logic::{Identity, ValidateRequest, validate_request::Token};
use tonic::transport::Channel;

use crate::error_codes;
use crate::refusal::Refusal;

/// Clients over one balanced channel; cheap to clone.
#[derive(Clone)]
pub(crate) struct Logic {
    pub(crate) auth: AuthServiceClient<Channel>,
    pub(crate) chat: ChatServiceClient<Channel>,
}

impl Logic {
    pub(crate) fn new(channel: Channel) -> Self {
        // Pages of messages may be larger than gRPC's default of 4 MiB.
        let chat = ChatServiceClient::new(channel.clone()).max_decoding_message_size(16 * 1024 * 1024);
        Self { auth: AuthServiceClient::new(channel), chat }
    }

    /// Who a token stands for.
    pub(crate) async fn identify(&self, token: Token, issue_resume_token: bool) -> Result<Identity, Refusal> {
        let request = ValidateRequest { token: Some(token), issue_resume_token };
        let identity =
            self.auth.clone().validate(request).await.map_err(|status| Refusal::from(&status))?.into_inner();
        // 0 is "not set": an identity without a user is none.
        if identity.user_id == 0 { Err(error_codes::UNAUTHENTICATED.into()) } else { Ok(identity) }
    }
}
