//! Who gets which seq. Pure: no I/O, no clock.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use gochat_proto::repo::append_result::Status;
use gochat_proto::repo::{AppendResult, NewMessage};

/// What makes a message the same one again.
pub(crate) type Key<'a> = (u64, u64, &'a str);

pub(crate) fn key(message: &NewMessage) -> Key<'_> {
    (message.conversation_id, message.sender_id, &message.client_msg_id)
}

/// A conversation as it is locked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Locked {
    pub(crate) members_version: u64,
    pub(crate) last_seq: u64,
}

/// What is stored under a key already.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub(crate) seq: u64,
    pub(crate) message_id: u64,
    pub(crate) sent_at_ms: i64,
}

impl Stored {
    fn result(self, replayed: bool) -> AppendResult {
        AppendResult {
            status: Status::Stored.into(),
            seq: self.seq,
            message_id: self.message_id,
            sent_at_ms: self.sent_at_ms,
            replayed,
        }
    }
}

/// One result for each message, in their order; `seq` is assigned in that order too. What is to be inserted are the
/// indices in the second list. What is stored stays stored: a replay is answered whatever became of the member list.
pub(crate) fn assign<'a>(
    messages: &'a [NewMessage],
    locked: &mut HashMap<u64, Locked>,
    stored: &HashMap<Key<'a>, Stored>,
) -> (Vec<AppendResult>, Vec<usize>) {
    let mut results: Vec<AppendResult> = Vec::with_capacity(messages.len());
    let mut insert = Vec::with_capacity(messages.len());
    let mut first = HashMap::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        let key = key(message);
        let refused = |status: Status| AppendResult { status: status.into(), ..AppendResult::default() };
        if let Some(stored) = stored.get(&key) {
            results.push(stored.result(true));
            continue;
        }
        let result = match locked.get_mut(&message.conversation_id) {
            None => refused(Status::NoConversation),
            Some(locked) if locked.members_version != message.members_version => {
                refused(Status::MembersChanged)
            }
            Some(locked) => match first.entry(key) {
                Entry::Occupied(first) => {
                    let first: &Stored = first.get();
                    first.result(true)
                }
                Entry::Vacant(entry) => {
                    locked.last_seq += 1;
                    insert.push(index);
                    let stored = Stored {
                        seq: locked.last_seq,
                        message_id: message.message_id,
                        sent_at_ms: message.sent_at_ms,
                    };
                    entry.insert(stored).result(false)
                }
            },
        };
        results.push(result);
    }
    (results, insert)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(conversation_id: u64, client_msg_id: &str, members_version: u64) -> NewMessage {
        NewMessage {
            message_id: 1,
            conversation_id,
            sender_id: 7,
            client_msg_id: client_msg_id.into(),
            members_version,
            ..NewMessage::default()
        }
    }

    #[test]
    fn seqs_follow_the_order_asked_and_skip_what_is_refused_or_there_already() {
        let messages = [
            message(1, "a", 3),
            message(1, "stale", 2),
            message(2, "a", 1),
            message(1, "a", 3),
            message(1, "old", 3),
            message(9, "a", 1),
            message(1, "b", 3),
        ];
        let mut locked = HashMap::from([
            (1, Locked { members_version: 3, last_seq: 10 }),
            (2, Locked { members_version: 1, last_seq: 0 }),
        ]);
        let old = HashMap::from([((1, 7, "old"), Stored { seq: 4, message_id: 44, sent_at_ms: 5 })]);
        let (results, insert) = assign(&messages, &mut locked, &old);
        let seen: Vec<_> = results.iter().map(|r| (r.status(), r.seq, r.replayed)).collect();
        assert_eq!(
            seen,
            [
                (Status::Stored, 11, false),
                (Status::MembersChanged, 0, false),
                (Status::Stored, 1, false),
                (Status::Stored, 11, true),
                (Status::Stored, 4, true),
                (Status::NoConversation, 0, false),
                (Status::Stored, 12, false),
            ]
        );
        assert_eq!(insert, [0, 2, 6]);
        assert_eq!(results[4].message_id, 44);
    }
}
