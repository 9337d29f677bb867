//! Whether each sender is a member, by one roster per conversation of a batch.
//!
//! All sends of a conversation in a batch go by the same roster and so by the same version: repo takes all or none of
//! them, and their order holds when they are tried again.

use std::collections::{BTreeSet, HashMap};

use futures::stream::{self, StreamExt, TryStreamExt};
use gochat_core::ConversationId;
use tonic::Status;

use super::batch::Send;
use crate::error::Refusal;
use crate::members::{Members, Roster};

/// Rosters read at a time where a batch needs many.
const READ_AT_A_TIME: usize = 16;

/// What the sends of a batch go by.
pub(crate) type Rosters = HashMap<ConversationId, Roster>;

/// Sends that may be stored, and those that may not.
#[derive(Debug, Default)]
pub(crate) struct Authorised {
    pub(crate) allowed: Vec<Send>,
    pub(crate) refused: Vec<(Send, Refusal)>,
    pub(crate) rosters: Rosters,
}

/// Splits the sends. Who is not in a cached list is looked up again before being refused.
pub(crate) async fn authorise(members: &Members, sends: Vec<Send>) -> Result<Authorised, Status> {
    let mut rosters = read(members, conversations(&sends)).await?;
    let mut allowed = check(members, &rosters, &sends).await?;
    let doubtful: BTreeSet<ConversationId> =
        sends.iter().zip(&allowed).filter(|(_, ok)| !**ok).map(|(send, _)| send.conversation).collect();
    if !doubtful.is_empty() {
        members.forget_stale(doubtful.iter().map(|id| id.get()).collect()).await?;
        for id in &doubtful {
            rosters.remove(id);
        }
        rosters.extend(read(members, doubtful).await?);
        allowed = check(members, &rosters, &sends).await?;
    }
    let mut split = Authorised::default();
    for (send, ok) in sends.into_iter().zip(allowed) {
        if ok {
            split.allowed.push(send);
        } else if rosters.contains_key(&send.conversation) {
            let refusal = Refusal::NotAMember(send.user.get());
            split.refused.push((send, refusal));
        } else {
            let refusal = Refusal::NoSuchConversation(send.conversation.get());
            split.refused.push((send, refusal));
        }
    }
    split.rosters = rosters;
    Ok(split)
}

fn conversations(sends: &[Send]) -> BTreeSet<ConversationId> {
    sends.iter().map(|send| send.conversation).collect()
}

async fn read(members: &Members, conversations: BTreeSet<ConversationId>) -> Result<Rosters, Status> {
    stream::iter(conversations)
        .map(|id| async move { members.roster(id.get()).await.map(|roster| Some((id, roster?))) })
        .buffer_unordered(READ_AT_A_TIME)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await
}

async fn check(members: &Members, rosters: &Rosters, sends: &[Send]) -> Result<Vec<bool>, Status> {
    let mut allowed = Vec::with_capacity(sends.len());
    for send in sends {
        allowed.push(match rosters.get(&send.conversation) {
            Some(roster) => members.is_member(send.conversation.get(), roster, send.user).await?,
            None => false,
        });
    }
    Ok(allowed)
}
