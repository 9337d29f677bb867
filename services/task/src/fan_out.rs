//! From one event and a group's members to the records for their shards (pure).

use std::sync::Arc;

use bytes::Bytes;
use gochat_core::{Recipients, SlotCount, UserId};
use gochat_mq::Record;
use gochat_proto::events::{Downstream, FanOut};
use prost::Message as _;

/// Half of the log's limit for a record: brokers are often set up with less than they take.
const MOST_RECORD_BYTES: usize = 512 * 1024;
/// What a record has besides frames and recipients, generously.
const OVERHEAD_BYTES: usize = 1024;

/// One record per shard, more where a shard has more members than a record takes. The answer to the sender's
/// connection travels only with the record that has the sender.
pub(crate) fn records(
    topic: &Arc<str>,
    shards: SlotCount,
    event: &FanOut,
    members: &Recipients,
    headers: &[(&'static str, Bytes)],
) -> Vec<Record> {
    let frames = event.frame.len() + event.origin_frame.len() + OVERHEAD_BYTES;
    // A recipient is 8 bytes (a packed fixed64).
    let most = (MOST_RECORD_BYTES.saturating_sub(frames) / 8).max(1);
    let key = Bytes::copy_from_slice(&event.conversation_id.to_be_bytes());
    let sender_shard = UserId::new(event.sender_id).map(|user| shards.of_user(user));
    let mut records = Vec::new();
    for (shard, users) in members.shards() {
        for some in users.chunks(most) {
            let answers = Some(shard) == sender_shard && some.binary_search(&event.sender_id).is_ok();
            let downstream = Downstream {
                recipients: some.to_vec(),
                frame: event.frame.clone(),
                origin: event.origin.clone().filter(|_| answers),
                origin_frame: if answers { event.origin_frame.clone() } else { Bytes::new() },
                push: event.push,
                revoke: None,
                ephemeral: false,
            };
            records.push(Record {
                topic: topic.clone(),
                partition: shard.0,
                key: key.clone(),
                payload: downstream.encode_to_vec().into(),
                headers: headers.to_vec(),
            });
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use gochat_proto::events::Origin;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn every_member_is_told_once_in_records_of_bounded_size(
            shards in 1u32..64,
            members in 1u64..200_000,
            frame in 1usize..70_000,
        ) {
            let shards = SlotCount::new(shards).unwrap();
            let topic: Arc<str> = "downstream".into();
            let event = FanOut {
                conversation_id: 7,
                frame: vec![1u8; frame].into(),
                origin: Some(Origin { edge: "edge".into(), connection: 1 }),
                origin_frame: Bytes::from_static(b"committed"),
                sender_id: 1 + members / 2,
                ..Default::default()
            };
            let records = records(&topic, shards, &event, &Recipients::group(shards, 1..=members), &[]);
            let mut told = BTreeSet::new();
            let mut answers = 0;
            for record in records {
                prop_assert!(record.payload.len() < MOST_RECORD_BYTES);
                let sent = Downstream::decode(record.payload).unwrap();
                if sent.origin.is_some() {
                    answers += 1;
                    prop_assert!(sent.recipients.contains(&event.sender_id));
                }
                for user in sent.recipients {
                    prop_assert_eq!(shards.of_user(UserId::new(user).unwrap()).0, record.partition);
                    prop_assert!(told.insert(user));
                }
            }
            prop_assert_eq!(told.len() as u64, members);
            prop_assert_eq!(answers, 1);
        }
    }
}
