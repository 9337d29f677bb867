//! From one event and the members concerned to the records for their shards (pure).

use bytes::Bytes;
use gochat_core::{ConversationId, Recipients, UserId};
use gochat_mq::Record;
use gochat_proto::client::ServerFrame;
use gochat_proto::client::server_frame::Frame;
use gochat_proto::events;
use prost::Message as _;

use crate::log::{Header, Log};

/// What the members are told.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) conversation: ConversationId,
    /// An encoded `ServerFrame`.
    pub(crate) frame: Bytes,
    /// Whom it comes from, with what their connection gets in its place.
    pub(crate) answer: Option<Answer>,
    pub(crate) push: Option<events::PushHint>,
    pub(crate) ephemeral: bool,
    pub(crate) headers: Vec<Header>,
}

/// What one connection gets in place of the frame.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) user: UserId,
    pub(crate) origin: events::Origin,
    pub(crate) frame: Bytes,
}

impl Event {
    pub(crate) fn new(conversation: ConversationId, frame: Frame) -> Self {
        let (answer, push, headers) = (None, None, Vec::new());
        Self { conversation, frame: encode(frame), answer, push, ephemeral: false, headers }
    }

    /// One record per shard that has recipients. The answer travels only with the record of its user's shard.
    pub(crate) fn to_members(&self, log: &Log, recipients: &Recipients) -> Vec<Record> {
        let answer_shard = self.answer.as_ref().map(|answer| log.slots.shards.of_user(answer.user));
        recipients
            .shards()
            .map(|(shard, users)| {
                let answer = self.answer.as_ref().filter(|_| Some(shard) == answer_shard);
                let event = events::Downstream {
                    recipients: users.to_vec(),
                    frame: self.frame.clone(),
                    origin: answer.map(|answer| answer.origin.clone()),
                    origin_frame: answer.map(|answer| answer.frame.clone()).unwrap_or_default(),
                    push: self.push,
                    revoke: None,
                    ephemeral: self.ephemeral,
                };
                log.downstream(shard, self.conversation.get(), &event, self.headers.clone())
            })
            .collect()
    }

    /// One record for task, which knows all members.
    pub(crate) fn to_task(&self, log: &Log, members_version: u64) -> Record {
        let answer = self.answer.as_ref();
        let fan_out = events::FanOut {
            conversation_id: self.conversation.get(),
            members_version,
            frame: self.frame.clone(),
            origin: answer.map(|answer| answer.origin.clone()),
            origin_frame: answer.map(|answer| answer.frame.clone()).unwrap_or_default(),
            sender_id: answer.map_or(0, |answer| answer.user.get()),
            push: self.push,
        };
        let task = events::Task { task: Some(events::task::Task::FanOut(fan_out)) };
        log.task(self.conversation, &task, self.headers.clone())
    }
}

/// A frame for one connection only.
pub(crate) fn answer_only(log: &Log, key: u64, user: UserId, origin: events::Origin, frame: Frame) -> Record {
    let event = events::Downstream {
        recipients: vec![user.get()],
        origin: Some(origin),
        origin_frame: encode(frame),
        ..Default::default()
    };
    log.downstream(log.slots.shards.of_user(user), key, &event, Vec::new())
}

/// The bytes that every `proto` socket gets.
pub(crate) fn encode(frame: Frame) -> Bytes {
    ServerFrame { frame: Some(frame) }.encode_to_vec().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gochat_core::{SlotCount, Slots, Topics};
    use gochat_mq::{Mq, MqConfig};
    use gochat_proto::client;
    use proptest::prelude::*;

    use super::*;

    fn log(shards: u32) -> Log {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let producer =
            runtime.block_on(async { Mq::connect(&MqConfig::default()).await.unwrap().producer().unwrap() });
        let slots = SlotCount::new(shards).unwrap();
        Log::new(
            gochat_pipeline::Writer::new(producer),
            &Topics::new("t"),
            Slots { shards: slots, upstream: slots, task: slots },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_member_is_told_once_by_its_own_shard_and_the_answer_goes_with_the_senders(
            shards in 1u32..100,
            users in prop::collection::btree_set(1u64.., 1..100),
            sender in any::<prop::sample::Index>(),
        ) {
            let log = log(shards);
            let users: Vec<u64> = users.into_iter().collect();
            let sender = UserId::new(users[sender.index(users.len())]).unwrap();
            let mut event = Event::new(
                ConversationId::new(5).unwrap(),
                Frame::Typing(client::Typing { conversation_id: 5, user_id: 1 }),
            );
            event.answer = Some(Answer { user: sender, origin: events::Origin { edge: "e".into(), connection: 3 }, frame: Bytes::from_static(b"x") });
            let mut told = BTreeMap::new();
            for record in event.to_members(&log, &Recipients::group(log.slots.shards, users.iter().copied())) {
                let sent = events::Downstream::decode(record.payload).unwrap();
                let senders = record.partition == log.slots.shards.of_user(sender).0;
                prop_assert_eq!(sent.origin.is_some(), senders);
                prop_assert_eq!(!sent.origin_frame.is_empty(), senders);
                for user in sent.recipients {
                    prop_assert_eq!(log.slots.shards.of_user(UserId::new(user).unwrap()).0, record.partition);
                    *told.entry(user).or_insert(0) += 1;
                }
            }
            prop_assert_eq!(told, users.into_iter().map(|user| (user, 1)).collect::<BTreeMap<_, _>>());
        }
    }
}
