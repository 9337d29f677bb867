//! The placement: the versioned map slot → member of one workload, and who owns a slot when the map is behind.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{Slot, SlotCount};

/// The version of a placement. What orders maps; wall time never does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// Names one pod of a workload, such as `gateway-0`; stable over its life, at most 63 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MemberId(pub Arc<str>);

impl MemberId {
    /// As it travels.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for MemberId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of equal pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Workload {
    /// Edge and home of connections; its slots are shards.
    Gateway,
    /// The upstream consumer; its slots are upstream partitions.
    Logic,
    /// The data service; not placed.
    Repo,
    /// Fan-out and jobs; its slots are task partitions.
    Task,
}

impl Workload {
    /// Lower case, as in configuration and keys.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Logic => "logic",
            Self::Repo => "repo",
            Self::Task => "task",
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Workload {
    type Err = PlacementError;

    fn from_str(text: &str) -> Result<Self, PlacementError> {
        [Self::Gateway, Self::Logic, Self::Repo, Self::Task]
            .into_iter()
            .find(|w| w.as_str() == text)
            .ok_or_else(|| PlacementError::UnknownWorkload(text.to_owned()))
    }
}

/// A placement that can't be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum PlacementError {
    #[error("workload {0:?}: must be gateway, logic, repo or task")]
    UnknownWorkload(String),
    #[error("slot {slot} is owned by member {index}, but the placement names {members} members")]
    NoSuchMember { slot: u32, index: u16, members: usize },
}

/// The versioned map slot → member of one workload.
///
/// Compact, since it is one object in etcd or Kubernetes: members by name once, owners as indices into them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Larger is newer.
    pub epoch: Epoch,
    /// The members that own slots.
    pub members: Vec<MemberId>,
    /// For each slot, in order, the index of its owner in `members`.
    pub owners: Vec<u16>,
}

impl Placement {
    /// Deals the slots out in turn: the map of a cluster that has no load yet.
    #[allow(clippy::cast_possible_truncation, reason = "a workload has at most 4,096 slots and so owners")]
    pub fn dealt(epoch: Epoch, slots: SlotCount, members: &[MemberId]) -> Self {
        let owners = match members.len().min(SlotCount::MAX as usize) as u32 {
            0 => Vec::new(),
            n => slots.slots().map(|s| (s.0 % n) as u16).collect(),
        };
        Self { epoch, members: members.to_vec(), owners }
    }

    /// The member that the map names for a slot.
    pub fn owner(&self, slot: Slot) -> Option<&MemberId> {
        self.members.get(usize::from(*self.owners.get(slot.index())?))
    }

    /// The same map with one slot moved, at the next epoch.
    #[must_use]
    pub fn with_owner(&self, slot: Slot, member: &MemberId) -> Self {
        let mut next = self.clone();
        next.epoch.0 += 1;
        let index = next.members.iter().position(|m| m == member).unwrap_or_else(|| {
            next.members.push(member.clone());
            next.members.len() - 1
        });
        if let (Some(owner), Ok(index)) = (next.owners.get_mut(slot.index()), u16::try_from(index)) {
            *owner = index;
        }
        next
    }

    /// Every owner must be one of `members`.
    pub fn check(&self) -> Result<(), PlacementError> {
        for (slot, &index) in (0u32..).zip(&self.owners) {
            if usize::from(index) >= self.members.len() {
                return Err(PlacementError::NoSuchMember { slot, index, members: self.members.len() });
            }
        }
        Ok(())
    }
}

/// Who owns each slot now: the placement's member where it lives, else a rendezvous choice among the living.
///
/// Every process that sees the same placement and the same members comes to the same answer without asking anyone,
/// so the data plane goes on without the operator. Rendezvous hashing (Thaler and Ravishankar, 1998) moves only the
/// dead member's slots. `None` only where no member lives.
pub fn effective_owners(slots: SlotCount, placement: &Placement, live: &[MemberId]) -> Vec<Option<MemberId>> {
    slots
        .slots()
        .map(|slot| match placement.owner(slot) {
            Some(owner) if live.contains(owner) => Some(owner.clone()),
            _ => rendezvous(slot, live).cloned(),
        })
        .collect()
}

fn rendezvous(slot: Slot, live: &[MemberId]) -> Option<&MemberId> {
    live.iter().max_by_key(|m| (xxh3_64_with_seed(m.as_str().as_bytes(), u64::from(slot.0)), *m))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members(n: usize) -> Vec<MemberId> {
        (0..n).map(|i| MemberId::from(format!("m-{i}").as_str())).collect()
    }

    proptest! {
        #[test]
        fn every_slot_has_a_living_owner(slots in 1u32..300, placed in 0usize..9, live in 1usize..9) {
            let slots = SlotCount::new(slots).unwrap();
            let placement = Placement::dealt(Epoch(1), slots, &members(placed));
            let live = members(live);
            let owners = effective_owners(slots, &placement, &live);
            prop_assert_eq!(owners.len(), slots.get() as usize);
            prop_assert!(owners.iter().all(|o| live.contains(o.as_ref().unwrap())));
        }

        #[test]
        fn a_death_moves_only_the_dead_members_slots(slots in 1u32..300, n in 2usize..9, dead in 0usize..9) {
            let slots = SlotCount::new(slots).unwrap();
            let all = members(n);
            let dead = &all[dead % n];
            let living: Vec<_> = all.iter().filter(|m| *m != dead).cloned().collect();
            let placement = Placement::dealt(Epoch(1), slots, &all);
            let before = effective_owners(slots, &placement, &all);
            let after = effective_owners(slots, &placement, &living);
            for (b, a) in before.iter().zip(&after) {
                prop_assert!(b == a || b.as_ref() == Some(dead));
            }
        }

        #[test]
        fn moving_a_slot_moves_one_slot_and_one_epoch(slots in 1u32..300, n in 1usize..5, slot in 0u32..300, to in 0usize..7) {
            let slots = SlotCount::new(slots).unwrap();
            let slot = Slot(slot % slots.get());
            let to = MemberId::from(format!("m-{to}").as_str());
            let before = Placement::dealt(Epoch(4), slots, &members(n));
            let after = before.with_owner(slot, &to);
            prop_assert_eq!(after.epoch, Epoch(5));
            prop_assert_eq!(after.owner(slot), Some(&to));
            prop_assert!(after.check().is_ok());
            for other in slots.slots().filter(|s| *s != slot) {
                prop_assert_eq!(before.owner(other), after.owner(other));
            }
        }
    }

    #[test]
    fn the_user_to_shard_map_never_changes() {
        // These go into running clusters' partitions: a change here would misplace every user.
        let shards = SlotCount::new(64).unwrap();
        let got: Vec<u32> = [1, 2, 3, 1 << 40]
            .into_iter()
            .map(|id| shards.of_user(crate::UserId::new(id).unwrap()).0)
            .collect();
        assert_eq!(got, PINNED_SHARDS);
    }

    const PINNED_SHARDS: [u32; 4] = [51, 28, 29, 48];
}
