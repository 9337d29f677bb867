//! Deals the slots out among the members: the place of the operator, until it is here.

use std::time::Duration;

use anyhow::Context as _;
use gochat_chassis::Shutdown;
use gochat_coord::{Coord, Member};
use gochat_core::{Epoch, MemberId, Placement, SlotCount, Workload};

use crate::placement::in_force;

/// Before a map that was refused, or could not be published, is published again.
const AGAIN: Duration = Duration::from_secs(1);

/// Waits until so many members are there.
pub(super) async fn joined(coord: &Coord, workload: Workload, count: usize) -> anyhow::Result<()> {
    coord.members(workload).wait_for(|members| members.len() >= count).await.context("coordination ended")?;
    Ok(())
}

/// Publishes a map for the members there are now, and goes on to do so when they change.
pub(super) async fn start(
    coord: &Coord,
    workload: Workload,
    slots: SlotCount,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let mut members = coord.members(workload);
    let mut placed = living(&members.borrow_and_update());
    publish(coord, workload, slots, &placed).await?;
    let (coord, stop) = (coord.clone(), shutdown.clone());
    shutdown.spawn("placer", async move {
        loop {
            tokio::select! {
                changed = members.changed() => if changed.is_err() { return },
                () = stop.wait() => return,
            }
            let now = living(&members.borrow_and_update());
            if now == placed || now.is_empty() {
                continue;
            }
            while let Err(error) = publish(&coord, workload, slots, &now).await {
                tracing::warn!(%workload, error = format!("{error:#}"), "placement not published");
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = stop.wait() => return,
                }
            }
            placed = now;
        }
    });
    Ok(())
}

fn living(members: &[Member]) -> Vec<MemberId> {
    let mut living: Vec<_> = members.iter().filter(|m| !m.draining).map(|m| m.id.clone()).collect();
    living.sort();
    living
}

async fn publish(
    coord: &Coord,
    workload: Workload,
    slots: SlotCount,
    members: &[MemberId],
) -> anyhow::Result<()> {
    // On an etcd there may be a map of an earlier run.
    let epoch = in_force(coord, workload, slots).await?.epoch;
    let placement = Placement::dealt(Epoch(epoch.0 + 1), slots, members);
    coord
        .put_placement(workload, &placement)
        .await
        .with_context(|| format!("publish the placement of {workload}"))
}

#[cfg(test)]
mod tests {
    use gochat_core::Slot;

    use super::*;

    fn member(id: &str) -> Member {
        Member {
            id: id.into(),
            workload: Workload::Gateway,
            address: "http://127.0.0.1:1".into(),
            draining: false,
        }
    }

    #[tokio::test]
    async fn slots_are_dealt_out_again_when_a_member_leaves() {
        let coord = Coord::connect(&gochat_coord::CoordConfig::default()).await.unwrap();
        let (shutdown, slots) = (Shutdown::new(), SlotCount::new(4).unwrap());
        let _first = coord.session().join(member("gateway-0")).await.unwrap();
        let second = coord.session().join(member("gateway-1")).await.unwrap();
        joined(&coord, Workload::Gateway, 2).await.unwrap();
        start(&coord, Workload::Gateway, slots, &shutdown).await.unwrap();
        let mut placement = coord.placement(Workload::Gateway);
        placement
            .wait_for(|p| p.members.len() == 2 && p.owner(Slot(1)) == Some(&"gateway-1".into()))
            .await
            .unwrap();

        second.leave().await;
        placement.wait_for(|p| slots.slots().all(|s| p.owner(s) == Some(&"gateway-0".into()))).await.unwrap();
        assert_eq!(placement.borrow().epoch, Epoch(2));

        start(&coord, Workload::Gateway, slots, &shutdown).await.unwrap();
        placement
            .wait_for(|p| p.epoch == Epoch(3))
            .await
            .expect("a later run goes on from the epoch that is");
        shutdown.begin();
        assert!(shutdown.drain(Duration::from_secs(10)).await);
    }
}
