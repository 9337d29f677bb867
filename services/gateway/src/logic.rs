//! Logic, as the gateway calls it.

use gochat_proto::logic::auth_service_client::AuthServiceClient;
use gochat_proto::logic::chat_service_client::ChatServiceClient;
use tonic::transport::Channel;

use crate::identify::Identify;

/// Clients over one balanced channel; cheap to clone.
#[derive(Clone)]
pub(crate) struct Logic {
    pub(crate) auth: AuthServiceClient<Channel>,
    pub(crate) chat: ChatServiceClient<Channel>,
    /// Who tokens stand for.
    pub(crate) identify: Identify,
}

impl Logic {
    pub(crate) fn new(channel: Channel) -> Self {
        // Pages of messages may be larger than gRPC's default of 4 MiB.
        let chat = ChatServiceClient::new(channel.clone()).max_decoding_message_size(16 * 1024 * 1024);
        let auth = AuthServiceClient::new(channel);
        Self { identify: Identify::start(auth.clone()), auth, chat }
    }
}
