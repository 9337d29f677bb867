//! Storing a batch through repo: in order, in calls of bounded size, with a record that repo refuses isolated.

use gochat_pipeline::{Patience, Stopped};
use gochat_proto::repo;
use gochat_proto::repo::append_result::Status as Appended;

use super::batch::Send;
use crate::repo_clients::Repo;

/// Well under gRPC's 4 MiB of a message.
const MOST_CALL_BYTES: usize = 1024 * 1024;

/// What became of one send.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Stored(repo::AppendResult),
    /// Authorised by a list that is no longer true.
    MembersChanged,
    NoConversation,
    /// repo refuses it whatever it comes with.
    Poison(String),
}

/// Appends all, in order; one outcome for each.
pub(crate) async fn append(
    repo: &Repo,
    patience: &Patience,
    messages: &[repo::NewMessage],
) -> Result<Vec<Outcome>, Stopped> {
    let mut outcomes = Vec::with_capacity(messages.len());
    // Taken from the end, so pushed in reverse: halves of a refused call keep their order.
    let mut calls: Vec<&[repo::NewMessage]> = chunks(messages);
    calls.reverse();
    while let Some(call) = calls.pop() {
        let request = repo::AppendMessagesRequest { messages: call.to_vec() };
        let answer = patience
            .ask("append", || {
                let (mut client, request) = (repo.messages(), request.clone());
                async move { repo.ask(client.append_messages(request)).await }
            })
            .await?;
        match answer {
            Ok(answer) if answer.results.len() == call.len() => {
                outcomes.extend(answer.results.into_iter().map(outcome));
            }
            Ok(answer) => {
                let reason =
                    format!("repo gave {} results for {} messages", answer.results.len(), call.len());
                tracing::error!(reason, "append");
                outcomes.extend(call.iter().map(|_| Outcome::Poison(reason.clone())));
            }
            Err(status) if call.len() == 1 => outcomes.push(Outcome::Poison(status.message().to_owned())),
            Err(_) => {
                let (first, second) = call.split_at(call.len() / 2);
                calls.extend([second, first]);
            }
        }
    }
    Ok(outcomes)
}

fn outcome(result: repo::AppendResult) -> Outcome {
    match result.status() {
        Appended::Stored => Outcome::Stored(result),
        Appended::MembersChanged => Outcome::MembersChanged,
        Appended::NoConversation => Outcome::NoConversation,
        Appended::Unspecified => Outcome::Poison("repo gave no status".into()),
    }
}

fn chunks(messages: &[repo::NewMessage]) -> Vec<&[repo::NewMessage]> {
    let mut bytes = 0;
    messages
        .chunk_by(|before, _| {
            bytes += before.text.len() + 128;
            let fits = bytes < MOST_CALL_BYTES;
            if !fits {
                bytes = 0;
            }
            fits
        })
        .collect()
}

/// As repo wants it.
pub(crate) fn new_message(
    send: &Send,
    message_id: u64,
    sent_at_ms: i64,
    members_version: u64,
) -> repo::NewMessage {
    repo::NewMessage {
        message_id,
        conversation_id: send.conversation.get(),
        sender_id: send.user.get(),
        client_msg_id: send.client_msg_id.clone(),
        text: send.text.clone(),
        sent_at_ms,
        members_version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_stays_bounded_and_keeps_the_order() {
        let messages: Vec<_> = (0..100)
            .map(|id| repo::NewMessage { message_id: id, text: "x".repeat(60_000), ..Default::default() })
            .collect();
        let calls = chunks(&messages);
        assert!(calls.len() > 1);
        assert!(
            calls
                .iter()
                .all(|call| call.iter().map(|m| m.text.len()).sum::<usize>() <= MOST_CALL_BYTES + 60_000)
        );
        let ids: Vec<u64> = calls.iter().flat_map(|call| call.iter().map(|m| m.message_id)).collect();
        assert_eq!(ids, (0..100).collect::<Vec<_>>());
    }
}
