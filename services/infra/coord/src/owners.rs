//! Who owns each slot as of one placement and one set of members.

use std::sync::Arc;

use gochat_core::{Epoch, MemberId, Placement, SlotCount, effective_owners};
use tokio::sync::watch;

use crate::Member;

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
pub(crate) fn follow(
    slots: SlotCount,
    mut placement: watch::Receiver<Arc<Placement>>,
    mut members: watch::Receiver<Arc<Vec<Member>>>,
) -> watch::Receiver<Arc<Owners>> {
    let now = Owners::of(slots, &placement.borrow_and_update(), &members.borrow_and_update());
    let (owners, receiver) = watch::channel(Arc::new(now));
    tokio::spawn(async move {
        loop {
            let changed = tokio::select! {
                () = owners.closed() => return,
                changed = placement.changed() => changed,
                changed = members.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            let now = Owners::of(slots, &placement.borrow_and_update(), &members.borrow_and_update());
            owners.send_if_modified(|before| {
                let changed = **before != now;
                if changed {
                    *before = Arc::new(now);
                }
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
