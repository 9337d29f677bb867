//! Whom an event concerns, by the shard that delivers to them.

use std::collections::BTreeMap;

use crate::{Slot, SlotCount, UserId};

/// User ids by shard, rising in each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients {
    by_shard: BTreeMap<Slot, Vec<u64>>,
    len: usize,
}

impl Recipients {
    /// Groups users; doubles and zeros are left out.
    pub fn group(shards: SlotCount, users: impl IntoIterator<Item = u64>) -> Self {
        let mut by_shard: BTreeMap<Slot, Vec<u64>> = BTreeMap::new();
        for user in users.into_iter().filter_map(UserId::new) {
            by_shard.entry(shards.of_user(user)).or_default().push(user.get());
        }
        let mut len = 0;
        for users in by_shard.values_mut() {
            users.sort_unstable();
            users.dedup();
            len += users.len();
        }
        Self { by_shard, len }
    }

    /// Whether the user is among them; `shards` as in `group`.
    pub fn contains(&self, shards: SlotCount, user: UserId) -> bool {
        let users = self.by_shard.get(&shards.of_user(user));
        users.is_some_and(|users| users.binary_search(&user.get()).is_ok())
    }

    /// Each shard that has any, with its users.
    pub fn shards(&self) -> impl Iterator<Item = (Slot, &[u64])> {
        self.by_shard.iter().map(|(shard, users)| (*shard, users.as_slice()))
    }

    /// How many users.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No user at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_user_stands_once_in_its_own_shard(shards in 1u32..4096, users in prop::collection::vec(any::<u64>(), 0..200)) {
            let shards = SlotCount::new(shards).unwrap();
            let recipients = Recipients::group(shards, users.iter().copied());
            let mut seen = Vec::new();
            for (shard, grouped) in recipients.shards() {
                prop_assert!(!grouped.is_empty());
                for user in grouped {
                    prop_assert_eq!(shards.of_user(UserId::new(*user).unwrap()), shard);
                    seen.push(*user);
                }
            }
            let mut expected: Vec<u64> = users.iter().copied().filter(|u| *u != 0).collect();
            expected.sort_unstable();
            expected.dedup();
            seen.sort_unstable();
            prop_assert_eq!(&seen, &expected);
            prop_assert_eq!(recipients.len(), expected.len());
            prop_assert!(expected.iter().all(|u| recipients.contains(shards, UserId::new(*u).unwrap())));
        }
    }
}
