//! `gochat placement`: who owns which slot, and moving one by hand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use gochat_coord::{Coord, Owners};
use gochat_core::{Epoch, MemberId, Placement, Slot, SlotCount, Workload};

use crate::say;
use crate::settings::{Settings, SettingsArgs};

pub(crate) const HELP: &str = "\
Needs the cluster's etcd, or the Kubernetes API (--set coord.kubernetes.enabled=true --set coord.kubernetes.cluster=chat):
  gochat placement show --workload gateway --set coord.etcd=http://etcd:2379
  gochat placement move --workload gateway --slot 3 --to gateway-1 --set coord.etcd=http://etcd:2379
The operator moves slots by itself; a move by hand lasts until its next plan.";

/// How long the picture of the cluster may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Shows the owners of a workload's slots
    Show {
        /// gateway, logic or task
        #[arg(long)]
        workload: Workload,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Moves one slot to a living member; no client notices
    Move {
        /// gateway, logic or task
        #[arg(long)]
        workload: Workload,
        /// Its number, from 0
        #[arg(long)]
        slot: u32,
        /// The member that shall own it
        #[arg(long, value_name = "MEMBER")]
        to: String,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Show { workload, settings } => {
            let (_, _, owners) = observe(workload, &settings).await?;
            say::text(&table(workload, &owners));
        }
        Action::Move { workload, slot, to, settings } => {
            let (coord, slots, owners) = observe(workload, &settings).await?;
            let (slot, to) = (Slot(slot), MemberId::from(to.as_str()));
            ensure!(slot.0 < slots.get(), "slot {slot}: {workload} has slots 0 to {}", slots.get() - 1);
            let mut members = coord.members(workload);
            let members = members.wait_for(|members| !members.is_empty()).await?.clone();
            let living: Vec<MemberId> = members.iter().map(|m| m.id.clone()).collect();
            ensure!(
                living.contains(&to),
                "{to} is no living member of {workload}; there is {}",
                living.iter().map(MemberId::as_str).collect::<Vec<_>>().join(", ")
            );
            let from = owner(&owners, slot);
            let mut placement = coord.placement(workload);
            let current = placement.wait_for(|placement| placement.epoch >= owners.epoch).await?.clone();
            let placement = moved(&current, slots, &owners, slot, &to);
            coord.put_placement(workload, &placement).await.context("publish the placement")?;
            say::line(&format!("slot {slot} of {workload}: {from} → {to}, epoch {}", placement.epoch.0));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The owners as they are, once members and placement are known.
async fn observe(workload: Workload, args: &SettingsArgs) -> anyhow::Result<(Coord, SlotCount, Owners)> {
    let settings = Settings::load(args, Vec::new())?;
    ensure!(
        !settings.coord.etcd.is_empty() || settings.coord.kubernetes.enabled,
        "coord.etcd is empty: set it to the cluster's etcd, or coord.kubernetes to the namespace of its pods"
    );
    let slots = slots(workload, &settings)?;
    let coord = Coord::connect(&settings.coord).await?;
    let owners = in_force(&coord, workload, slots).await?;
    Ok((coord, slots, owners))
}

/// Who owns what, once members and placement are known. A view that was just opened is empty, which says nothing.
pub(crate) async fn in_force(coord: &Coord, workload: Workload, slots: SlotCount) -> anyhow::Result<Owners> {
    let mut owners = coord.owners(workload, slots);
    let known = owners.wait_for(|owners| owners.by_slot.iter().any(Option::is_some));
    let owners = tokio::time::timeout(PATIENCE, known)
        .await
        .with_context(|| format!("no member of {workload} lives, or coordination does not answer"))??;
    Ok(owners.as_ref().clone())
}

/// How many slots a workload has.
pub(crate) fn slots(workload: Workload, settings: &Settings) -> anyhow::Result<SlotCount> {
    let count = match workload {
        Workload::Gateway => settings.topics.shards,
        Workload::Logic => settings.topics.upstream_partitions,
        Workload::Task => settings.topics.task_partitions,
        Workload::Repo => anyhow::bail!("repo has no slots: any of its members answers"),
    };
    Ok(SlotCount::new(count)?)
}

/// The same map with one slot moved. Where there is no map yet, it begins as what is in force, so that the move moves
/// that slot and no other.
fn moved(current: &Placement, slots: SlotCount, owners: &Owners, slot: Slot, to: &MemberId) -> Placement {
    if current.owners.len() >= slots.get() as usize {
        return current.with_owner(slot, to);
    }
    let mut members: Vec<MemberId> = owners.by_slot.iter().flatten().map(|m| m.id.clone()).collect();
    members.sort();
    members.dedup();
    let mut placement = Placement::dealt(Epoch(current.epoch.0), slots, &members);
    for (index, owner) in (0..).zip(&owners.by_slot) {
        if let Some(owner) = owner {
            placement = placement.with_owner(Slot(index), &owner.id);
        }
    }
    placement.epoch = current.epoch;
    placement.with_owner(slot, to)
}

fn owner(owners: &Owners, slot: Slot) -> String {
    owners
        .by_slot
        .get(slot.index())
        .and_then(Option::as_ref)
        .map_or_else(|| "nobody".to_owned(), |m| m.id.to_string())
}

fn table(workload: Workload, owners: &Owners) -> String {
    let mut by_member: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for index in 0..owners.by_slot.len() {
        let slot = Slot(u32::try_from(index).unwrap_or(u32::MAX));
        by_member.entry(owner(owners, slot)).or_default().push(slot.to_string());
    }
    let mut text = format!("{workload}, epoch {}\n", owners.epoch.0);
    for (member, slots) in by_member {
        let _ = writeln!(text, "  {member:<32} {:>4} slots: {}", slots.len(), slots.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use gochat_coord::Member;

    use super::*;

    fn owners(ids: &[&str]) -> Owners {
        let member = |id: &&str| Member {
            id: MemberId::from(*id),
            workload: Workload::Gateway,
            address: String::new(),
            draining: false,
        };
        Owners { epoch: Epoch(0), by_slot: ids.iter().map(|id| Some(member(id))).collect() }
    }

    #[test]
    fn the_first_move_moves_one_slot_and_no_other() {
        let slots = SlotCount::new(4).unwrap();
        let now = owners(&["b", "a", "a", "b"]);
        let next = moved(&Placement::default(), slots, &now, Slot(1), &MemberId::from("b"));
        let after: Vec<_> = slots.slots().map(|s| next.owner(s).unwrap().as_str()).collect();
        assert_eq!(after, ["b", "b", "a", "b"]);
        assert_eq!(next.epoch, Epoch(1));
    }

    #[test]
    fn a_later_move_changes_the_map_that_is() {
        let slots = SlotCount::new(2).unwrap();
        let map = Placement::dealt(Epoch(7), slots, &[MemberId::from("a"), MemberId::from("b")]);
        let next = moved(&map, slots, &owners(&["a", "b"]), Slot(0), &MemberId::from("b"));
        assert_eq!((next.epoch, next.owner(Slot(0)).unwrap().as_str()), (Epoch(8), "b"));
    }

    #[test]
    fn the_table_tells_members_and_their_slots() {
        let text = table(Workload::Gateway, &owners(&["b", "a", "b"]));
        assert!(text.contains("2 slots: 0 2") && text.contains("1 slots: 1"), "{text}");
    }
}
