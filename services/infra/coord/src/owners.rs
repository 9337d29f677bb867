//! Who owns each slot as of one placement and one set of members.

use std::sync::Arc;

use gochat_core::{Epoch, MemberId, Placement, SlotCount, effective_owners};
use tokio::sync::watch;

use crate::store::{View, ViewReceiver};
use crate::{Member, member, placement};

/// The effective owners as of one placement and one set of members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// Of the placement behind it.
    pub epoch: Epoch,
    /// Index = slot; `None` where no member lives.
    pub by_slot: Vec<Option<Member>>,
}

impl Owners {
    /// A draining member owns nothing while another lives; where all drain, they go on, since somebody must.
    pub(crate) fn of(slots: SlotCount, placement: &Placement, members: &[Member]) -> Self {
        let all = || members.iter().map(|m| m.id.clone());
        let mut live: Vec<MemberId> = members.iter().filter(|m| !m.draining).map(|m| m.id.clone()).collect();
        if live.is_empty() {
            live = all().collect();
        }
        let by_id = |id: MemberId| members.iter().find(|m| m.id == id).cloned();
        let by_slot = effective_owners(slots, placement, &live)
            .into_iter()
            .map(|owner| owner.and_then(by_id))
            .collect();
        Self { epoch: placement.epoch, by_slot }
    }
}

/// Keeps the owners current while somebody holds a receiver.
///
/// Nobody owns anything until placement and members are both known: half of the picture would give slots to members
/// that give them back a moment later.
pub(crate) fn follow(
    slots: SlotCount,
    mut placements: ViewReceiver,
    mut members: ViewReceiver,
) -> watch::Receiver<Arc<Owners>> {
    let mut placement = Placement::default();
    let mut next = move |placements: &View, members: &View| {
        if let Some(newer) = placement::newer(placements, &placement) {
            placement = newer;
        }
        let known = placements.known && members.known;
        let members = if known { member::read(members) } else { Vec::new() };
        Arc::new(Owners::of(slots, &placement, &members))
    };
    let (owners, receiver) =
        watch::channel(next(&placements.borrow_and_update(), &members.borrow_and_update()));
    tokio::spawn(async move {
        loop {
            let changed = tokio::select! {
                () = owners.closed() => return,
                changed = placements.changed() => changed,
                changed = members.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            let next = next(&placements.borrow_and_update(), &members.borrow_and_update());
            owners.send_if_modified(|present| {
                let changed = *present != next;
                *present = next;
                changed
            });
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use gochat_core::Workload;

    use super::*;

    fn member(id: &str, draining: bool) -> Member {
        Member { id: id.into(), workload: Workload::Logic, address: format!("http://{id}"), draining }
    }

    fn owners(members: &[Member]) -> Vec<Option<String>> {
        let slots = SlotCount::new(4).unwrap();
        let placement = Placement::dealt(Epoch(1), slots, &["a".into(), "b".into()]);
        Owners::of(slots, &placement, members)
            .by_slot
            .into_iter()
            .map(|m| m.map(|m| m.id.to_string()))
            .collect()
    }

    #[test]
    fn a_draining_member_owns_nothing_while_another_lives() {
        assert!(owners(&[member("a", true), member("b", false)]).iter().all(|o| o.as_deref() == Some("b")));
    }

    #[test]
    fn where_all_drain_they_go_on() {
        let both = owners(&[member("a", true), member("b", true)]);
        assert_eq!(both.iter().map(|o| o.as_deref().unwrap()).collect::<Vec<_>>(), ["a", "b", "a", "b"]);
    }

    #[test]
    fn nobody_owns_where_nobody_lives() {
        assert_eq!(owners(&[]), [None, None, None, None]);
    }
}
