//! The API's bodies, as the OpenAPI document shows them. Answers are the protocol's own messages in proto3 JSON, the
//! same as on the WebSocket; the structs for them here are for the document only. Ids are decimal strings.

use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Register {
    /// Unique; what people log in with and are found by.
    pub(super) name: String,
    pub(super) password: String,
    #[serde(default)]
    pub(super) display_name: String,
    /// Names the device for people.
    #[serde(default)]
    pub(super) device: String,
}

/// An account's credentials.
#[derive(Deserialize, ToSchema)]
pub(super) struct Login {
    pub(super) name: String,
    pub(super) password: String,
    /// Names the device for people.
    #[serde(default)]
    pub(super) device: String,
}

/// A refresh token, good once.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Refresh {
    pub(super) refresh_token: String,
}

/// A direct chat (`peerId`) or a group (`title`, `memberIds`).
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewConversation {
    #[schema(value_type = Option<String>)]
    pub(super) peer_id: Option<Id>,
    pub(super) title: Option<String>,
    /// Without the creator, who is its owner.
    #[schema(value_type = Vec<String>)]
    #[serde(default)]
    pub(super) member_ids: Vec<Id>,
}

/// Users to add.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewMembers {
    #[schema(value_type = Vec<String>)]
    pub(super) member_ids: Vec<Id>,
}

/// A member's role.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewRole {
    pub(super) role: Role,
}

/// What a member may do. The long forms are protobuf's names.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    #[serde(alias = "ROLE_MEMBER")]
    Member,
    #[serde(alias = "ROLE_ADMIN")]
    Admin,
    #[serde(alias = "ROLE_OWNER")]
    Owner,
}

/// Everything up to a message is read.
#[derive(Deserialize, ToSchema)]
pub(super) struct ReadUpTo {
    #[schema(value_type = String)]
    pub(super) seq: Id,
}

/// An id or a seq: a decimal string, or a number where the client's language can hold it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Id(pub(super) u64);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form<'a> {
            Number(u64),
            Borrowed(&'a str),
            Owned(String),
        }
        let text = match Form::deserialize(deserializer)? {
            Form::Number(id) => return Ok(Self(id)),
            Form::Borrowed(text) => text.parse(),
            Form::Owned(text) => text.parse(),
        };
        text.map(Self).map_err(|_| serde::de::Error::custom("an id is a decimal string"))
    }
}

macro_rules! documented {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $kind:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(ToSchema)]
            #[schema(rename_all = "camelCase")]
            #[allow(dead_code, clippy::struct_field_names, reason = "for the OpenAPI document")]
            pub(super) struct $name { $($field: $kind,)* }
        )*
    };
}

documented! {
    /// A user.
    User { user_id: String, name: String, display_name: String, }
    /// What a login gives.
    TokenPair {
        user: User,
        session_id: String,
        access_token: String,
        refresh_token: String,
        expires_at_ms: String,
    }
    /// A stored message.
    Message {
        conversation_id: String,
        seq: String,
        message_id: String,
        sender_id: String,
        client_msg_id: String,
        text: String,
        sent_at_ms: String,
    }
    /// A conversation as the user sees it; fields that are 0, false or empty are left out.
    Conversation {
        conversation_id: String,
        kind: String,
        title: Option<String>,
        last_seq: Option<String>,
        read_seq: Option<String>,
        unread: Option<String>,
        member_count: u32,
        members_version: String,
        role: String,
        peer: Option<User>,
        last_message: Option<Message>,
    }
    /// A member.
    Member { user_id: String, role: String, read_seq: Option<String>, joined_at_ms: String, }
    /// Users found.
    Users { users: Vec<User>, }
    /// A page of conversations.
    Conversations { conversations: Vec<Conversation>, next_page: String, }
    /// A page of members, and who they are.
    Members { members: Vec<Member>, users: Vec<User>, more: bool, }
    /// A page of messages in rising seq.
    Messages { messages: Vec<Message>, more: bool, last_seq: String, }
    /// The cursor as it is now.
    Read { read_seq: String, }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_string_and_may_be_a_number() {
        let ids: Vec<u64> = serde_json::from_str::<Vec<Id>>(r#"["18446744073709551615", 7]"#)
            .unwrap()
            .into_iter()
            .map(|id| id.0)
            .collect();
        assert_eq!(ids, [u64::MAX, 7]);
        assert!(serde_json::from_str::<Id>("\"x\"").is_err());
        assert!(serde_json::from_str::<Id>("-1").is_err());
    }
}
