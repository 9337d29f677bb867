//! What logic refuses, in the words of `docs/protocol.md`, and how that travels as a gRPC status.
//!
//! Every refusal names its code (`gochat-code`) and what to do about it (`gochat-fix`); gateways pass both on.

use gochat_proto::logic;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Refusal {
    #[error("name {0:?} is not allowed")]
    BadName(String),
    #[error("the password is not allowed: {0}")]
    WeakPassword(&'static str),
    #[error("name {0:?} is taken")]
    NameTaken(String),
    #[error("name or password is wrong")]
    BadCredentials,
    #[error("the token is not valid")]
    TokenInvalid,
    #[error("the token has expired")]
    TokenExpired,
    #[error("the session is revoked or has ended")]
    SessionRevoked,
    #[error("user {0} is no member of the conversation")]
    NotAMember(u64),
    #[error("there is no conversation {0}")]
    NoSuchConversation(u64),
    #[error("there is no user {0}")]
    NoSuchUser(u64),
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("a group has at most {0} members")]
    GroupFull(u32),
    #[error("{field}: {problem}")]
    InvalidArgument { field: &'static str, problem: String },
    #[error("the text has {bytes} bytes: at most {most}")]
    TextTooLarge { bytes: usize, most: usize },
    #[error("client_msg_id must be 1 to 36 visible ASCII characters")]
    BadClientMsgId,
    #[error("too many requests of this kind at once")]
    Overloaded,
    #[error("{0} does not answer")]
    Unavailable(&'static str),
    #[error("something went wrong in the server")]
    Internal,
}

impl Refusal {
    /// The word of `docs/protocol.md`.
    pub fn code(&self) -> &'static str {
        self.parts().0
    }

    /// What the caller can do about it.
    pub fn fix(&self) -> &'static str {
        self.parts().2
    }

    fn parts(&self) -> (&'static str, Code, &'static str) {
        match self {
            Self::BadName(_) => {
                ("bad_name", Code::InvalidArgument, "use 3 to 32 characters of a-z, 0-9, '.', '_' and '-'")
            }
            Self::WeakPassword(_) => ("weak_password", Code::InvalidArgument, "use 8 to 128 bytes"),
            Self::NameTaken(_) => ("name_taken", Code::AlreadyExists, "choose another name"),
            Self::BadCredentials => ("bad_credentials", Code::Unauthenticated, "check name and password"),
            Self::TokenInvalid => ("token_invalid", Code::Unauthenticated, "log in again"),
            Self::TokenExpired => ("token_expired", Code::Unauthenticated, "refresh the access token"),
            Self::SessionRevoked => ("session_revoked", Code::Unauthenticated, "log in again"),
            Self::NotAMember(_) => {
                ("not_a_member", Code::PermissionDenied, "ask a member who manages it to add you")
            }
            Self::NoSuchConversation(_) => {
                ("no_such_conversation", Code::NotFound, "check the conversation's id")
            }
            Self::NoSuchUser(_) => ("no_such_user", Code::NotFound, "check the user's id"),
            Self::Forbidden(_) => ("forbidden", Code::PermissionDenied, "ask the group's owner"),
            Self::GroupFull(_) => {
                ("group_full", Code::ResourceExhausted, "remove members or open another group")
            }
            Self::InvalidArgument { .. } => {
                ("bad_request", Code::InvalidArgument, "correct the field that is named")
            }
            Self::TextTooLarge { .. } => ("text_too_large", Code::InvalidArgument, "split the message"),
            Self::BadClientMsgId => ("bad_client_msg_id", Code::InvalidArgument, "use a UUID"),
            Self::Overloaded => ("overloaded", Code::ResourceExhausted, "try again a little later"),
            Self::Unavailable(_) => ("unavailable", Code::Unavailable, "try again a little later"),
            Self::Internal => ("internal", Code::Internal, "try again; report it if it stays"),
        }
    }

    /// A refusal of one field.
    pub fn field(field: &'static str, problem: impl Into<String>) -> Self {
        Self::InvalidArgument { field, problem: problem.into() }
    }

    /// What to tell a caller when repo failed in a way the caller has no part in.
    pub fn from_repo(status: &Status) -> Self {
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Aborted | Code::Unknown => {
                Self::Unavailable("repo")
            }
            Code::ResourceExhausted => Self::Overloaded,
            code => {
                tracing::error!(?code, message = status.message(), "repo refused a request");
                Self::Internal
            }
        }
    }
}

impl From<Refusal> for logic::Refused {
    fn from(refusal: Refusal) -> Self {
        let (code, _, fix) = refusal.parts();
        Self { code: code.into(), text: refusal.to_string(), fix: fix.into() }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let (word, code, fix) = refusal.parts();
        let mut status = Status::new(code, refusal.to_string());
        status.metadata_mut().insert("gochat-code", MetadataValue::from_static(word));
        status.metadata_mut().insert("gochat-fix", MetadataValue::from_static(fix));
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_travels_with_its_code_and_fix() {
        let status = Status::from(Refusal::NotAMember(7));
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(status.metadata().get("gochat-code").unwrap(), "not_a_member");
        assert!(status.metadata().contains_key("gochat-fix"));
    }
}
