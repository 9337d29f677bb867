//! Who owns which slot.

use anyhow::Context as _;
use gochat_crds::{GoChatPlacement, PlacedWorkload};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;

use crate::output::{Table, age, ranges};
use crate::session::Session;

pub(crate) async fn run(session: &Session, workload: PlacedWorkload) -> anyhow::Result<()> {
    let cluster = session.cluster().await?.name_any();
    let placements = session.placements(&cluster).await?;
    let placement = placements.iter().find(|placement| placement.spec.workload == workload);
    let placement = placement.with_context(|| {
        format!("{cluster} has no map of {} yet: no pod of it was ready so far", workload.as_str())
    })?;
    session.print(placement, || view(placement, Timestamp::now()))
}

fn view(placement: &GoChatPlacement, now: Timestamp) -> String {
    let (spec, status) = (&placement.spec, placement.status.clone().unwrap_or_default());
    let mut text = format!("{} slots, epoch {}", spec.owners.len(), spec.epoch);
    if let Some(load) = &status.load {
        text = format!("{text}, hottest at {} of its share, {} report", load.hottest, load.reporting);
    }
    if let Some(reason) = &status.reason {
        text = format!("{text}\nlast change: {reason}");
    }
    let mut members = Table::new(&["MEMBER", "COUNT", "SLOTS"]);
    for (index, member) in spec.members.iter().enumerate() {
        let owned = spec.owners.iter().enumerate().filter(|(_, owner)| usize::from(**owner) == index);
        let slots: Vec<_> = owned.map(|(slot, _)| slot).collect();
        members.row([member.clone(), slots.len().to_string(), ranges(slots)]);
    }
    text = format!("{text}\n\n{members}");
    if !status.handovers.is_empty() {
        let mut moving = Table::new(&["SLOT", "STATE", "FOR", "FROM", "TO"]);
        for handover in &status.handovers {
            moving.row([
                handover.slot.to_string(),
                format!("{:?}", handover.state),
                handover.since.as_ref().map_or_else(|| "-".to_owned(), |since| age(since.0, now)),
                handover.from.clone().unwrap_or_else(|| "-".to_owned()),
                handover.to.clone(),
            ]);
        }
        text = format!("{text}\n{moving}");
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn slots_as_people_see_them() {
        let now = "2026-01-01T12:00:00Z".parse().unwrap();
        insta::assert_snapshot!(view(&crate::status::tests::placement(), now));
    }
}
