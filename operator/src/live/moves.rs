//! One GoChatRebalance, step by step: what it is now, and which slots move next. Pure.
//!
//! ```text
//! New ──▶ Proposed ──▶ Moving ──▶ Done │ Failed
//!   └──────────┴───────────┴────▶ Stopped
//! ```
//!
//! Everything that has to outlast the operator is in the status: the moves that are left. What runs is seen from the map: a
//! move whose slot is already its target's and not yet taken over. So an operator that begins anew goes on where it was, and
//! one that is deleted leaves handovers behind that end by themselves.

use std::collections::BTreeSet;

use gochat_brain::planner::{self, Balance, MemberPhase, MemberState, Policy, Problem};
use gochat_crds::{GoChatRebalance, Imbalance, PlannedMove, RebalancePhase, RebalanceStatus};
use gochat_senses::Picture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::names;

/// What one look at a rebalance comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Step {
    /// To be written where it differs.
    pub(super) status: RebalanceStatus,
    /// To be moved now: slot, and the position of who gets it.
    pub(super) start: Vec<(u32, usize)>,
}

/// Around one rebalance.
pub(super) struct Around<'a> {
    pub(super) picture: &'a Picture,
    /// Of the cluster; the rebalance may allow more or fewer moves.
    pub(super) policy: Policy,
    /// Another rebalance of the same workload that moves slots.
    pub(super) busy_with: Option<&'a str>,
    /// Nothing came to its end for too long.
    pub(super) stuck: bool,
    pub(super) now: &'a Time,
}

/// Whether it is over.
pub(super) fn is_over(status: &RebalanceStatus) -> bool {
    matches!(status.phase, RebalancePhase::Done | RebalancePhase::Stopped | RebalancePhase::Failed)
}

/// The next step.
pub(super) fn step(rebalance: &GoChatRebalance, around: &Around<'_>) -> Step {
    let mut status = rebalance.status.clone().unwrap_or_default();
    let mut start = Vec::new();
    if !is_over(&status) {
        match status.phase {
            RebalancePhase::New if asked(rebalance, names::STOP) => {
                end(&mut status, RebalancePhase::Stopped, "stopped before it was planned".to_owned());
            }
            RebalancePhase::New => propose(rebalance, around, &mut status),
            RebalancePhase::Proposed => start = approve(rebalance, around, &mut status),
            _ => start = advance(rebalance, around, &mut status),
        }
    }
    finish(rebalance, &mut status, around.now);
    Step { status, start }
}

fn propose(rebalance: &GoChatRebalance, around: &Around<'_>, status: &mut RebalanceStatus) {
    let (spec, picture) = (&rebalance.spec, around.picture);
    if !picture.observed.measured {
        let (reporting, there) = picture.reporting;
        return say(status, format!("waits for loads: {reporting} of {there} members report"));
    }
    let members = around.members(&spec.evacuate);
    if let Some(unknown) = spec.evacuate.iter().find(|name| !picture.names.contains(name)) {
        return end(
            status,
            RebalancePhase::Failed,
            format!("spec.evacuate: {unknown} is no pod of this workload"),
        );
    }
    if !members.iter().any(|member| member.state == MemberPhase::Active) {
        let text = "no member is left that could take slots: evacuate fewer pods, or have more".to_owned();
        return end(status, RebalancePhase::Failed, text);
    }
    let max_moves = spec.max_moves.and_then(|moves| usize::try_from(moves).ok());
    let policy = Policy { max_moves: max_moves.unwrap_or(around.policy.max_moves), ..around.policy };
    let plan = planner::solve(&Problem { slots: picture.observed.slots.clone(), members, policy });
    if let Some(fault) = plan.fault {
        return end(status, RebalancePhase::Failed, fault.to_string());
    }
    let name = |member: usize| picture.names.get(member).cloned().unwrap_or_default();
    status.moves = plan
        .moves
        .iter()
        .filter_map(|m| {
            Some(PlannedMove { slot: u32::try_from(m.slot).ok()?, from: m.from.map(name), to: name(m.to) })
        })
        .collect();
    status.total = count(status.moves.len());
    status.imbalance =
        Some(Imbalance { before: ratio(&plan.before), expected: ratio(&plan.after), reached: None });
    if status.moves.is_empty() {
        let (hottest, band) = (plan.before.imbalance(), plan.before.limit());
        let why = if plan.before.within_band() { "nothing to move" } else { "no move makes it better" };
        return end(
            status,
            RebalancePhase::Done,
            format!("{why}: the hottest member is at {hottest:.2} of its share, band {band:.2}"),
        );
    }
    status.phase = RebalancePhase::Proposed;
    let rest = if plan.complete { "" } else { "; more would move, but maxMoves is reached" };
    let next = if spec.dry_run {
        "dry run: nothing moves".to_owned()
    } else {
        format!("waits for approval: annotate with {}=true", names::APPROVE)
    };
    say(status, format!("{} slots to move{rest}; {next}", status.total));
}

fn approve(
    rebalance: &GoChatRebalance,
    around: &Around<'_>,
    status: &mut RebalanceStatus,
) -> Vec<(u32, usize)> {
    if asked(rebalance, names::STOP) {
        end(status, RebalancePhase::Stopped, "stopped before anything moved".to_owned());
        return Vec::new();
    }
    if rebalance.spec.dry_run || !(rebalance.spec.auto_approve || asked(rebalance, names::APPROVE)) {
        return Vec::new();
    }
    if let Some(other) = around.busy_with {
        say(status, format!("approved; waits for {other} to end"));
        return Vec::new();
    }
    status.phase = RebalancePhase::Moving;
    advance(rebalance, around, status)
}

/// Takes the moves that are done off the list, and starts the next ones.
fn advance(
    rebalance: &GoChatRebalance,
    around: &Around<'_>,
    status: &mut RebalanceStatus,
) -> Vec<(u32, usize)> {
    let picture = around.picture;
    let owner =
        |slot: u32| picture.observed.slots.get(slot as usize).and_then(|s| picture.names.get(s.owner?));
    let under_way: BTreeSet<u32> = picture.handovers.iter().map(|handover| handover.slot).collect();
    let done = |m: &PlannedMove| owner(m.slot) == Some(&m.to) && !under_way.contains(&m.slot);
    status.moved += count(status.moves.iter().filter(|m| done(m)).count());
    status.moves.retain(|m| !done(m));

    // Somebody else has moved the slot meanwhile, or its target goes: the plan is not about that world any more.
    let target = |m: &PlannedMove| {
        let to = picture.names.iter().position(|name| *name == m.to)?;
        let state = picture.observed.members.get(to)?.state;
        (state == MemberPhase::Active && (owner(m.slot) == Some(&m.to) || owner(m.slot) == m.from.as_ref()))
            .then_some(to)
    };
    status.moves.retain(|m| target(m).is_some());
    let (running, waiting): (Vec<_>, Vec<_>) =
        status.moves.iter().cloned().partition(|m| owner(m.slot) == Some(&m.to));
    let (moved, total) = (status.moved, status.total);

    if asked(rebalance, names::STOP) {
        if running.is_empty() {
            let left = waiting.len();
            end(
                status,
                RebalancePhase::Stopped,
                format!("stopped: {moved} of {total} moved, {left} left where they were"),
            );
        } else {
            say(status, format!("stopping: {} handovers under way", running.len()));
        }
        return Vec::new();
    }
    if around.stuck {
        let slots: Vec<_> = running.iter().map(|m| format!("{} by {}", m.slot, m.to)).collect();
        let text =
            format!("not taken over in time: slot {}; {moved} of {total} moved", slots.join(", slot "));
        end(status, RebalancePhase::Failed, text);
        return Vec::new();
    }
    if running.is_empty() && waiting.is_empty() {
        if !picture.observed.measured {
            let (reporting, there) = picture.reporting;
            say(status, format!("all moved; waits for loads: {reporting} of {there} members report"));
            return Vec::new();
        }
        let balance = around.balance(&rebalance.spec.evacuate);
        if let Some(imbalance) = &mut status.imbalance {
            imbalance.reached = Some(ratio(&balance));
        }
        let outdated = total - moved;
        let (phase, rest) = match outdated {
            0 => (RebalancePhase::Done, String::new()),
            _ if moved == 0 => (RebalancePhase::Failed, "; members or map changed meanwhile".to_owned()),
            _ => (
                RebalancePhase::Done,
                format!("; {outdated} were outdated, members or map changed meanwhile"),
            ),
        };
        end(status, phase, format!("{moved} of {total} moved{rest}"));
        return Vec::new();
    }
    let room = usize::try_from(rebalance.spec.parallel).unwrap_or(usize::MAX).saturating_sub(running.len());
    // A slot on its way for another reason has to arrive first.
    let start: Vec<_> = waiting
        .iter()
        .filter(|m| !under_way.contains(&m.slot))
        .filter_map(|m| Some((m.slot, target(m)?)))
        .take(room)
        .collect();
    say(status, format!("{} handovers under way", running.len() + start.len()));
    start
}

impl Around<'_> {
    /// Those that are to be empty take no slots, and have no share that the others' is compared with.
    fn members(&self, evacuated: &[String]) -> Vec<MemberState> {
        let mut members = self.picture.observed.members.clone();
        for (member, name) in members.iter_mut().zip(&self.picture.names) {
            if evacuated.contains(name) && member.state == MemberPhase::Active {
                member.state = MemberPhase::Draining;
            }
        }
        members
    }

    /// Of the map and loads as they are.
    fn balance(&self, evacuated: &[String]) -> Balance {
        let observed = &self.picture.observed;
        let problem = Problem {
            slots: observed.slots.clone(),
            members: self.members(evacuated),
            policy: Policy { max_moves: 0, ..self.policy },
        };
        planner::solve(&problem).before
    }
}

fn end(status: &mut RebalanceStatus, phase: RebalancePhase, message: String) {
    status.phase = phase;
    status.message = Some(message);
}

fn say(status: &mut RebalanceStatus, message: String) {
    status.message = Some(message);
}

/// What follows from the rest: progress and the condition.
fn finish(rebalance: &GoChatRebalance, status: &mut RebalanceStatus, now: &Time) {
    status.observed_generation = rebalance.metadata.generation;
    status.progress =
        if status.total == 0 { String::new() } else { format!("{}/{}", status.moved, status.total) };
    let proposed = rebalance.spec.dry_run && status.phase == RebalancePhase::Proposed;
    let ready = proposed || status.phase == RebalancePhase::Done;
    let reason = if proposed { "DryRun".to_owned() } else { format!("{:?}", status.phase) };
    let before = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    let ready = if ready { "True" } else { "False" };
    let since =
        before.filter(|before| before.status == ready).map_or(now, |before| &before.last_transition_time);
    status.conditions = vec![Condition {
        type_: "Ready".to_owned(),
        status: ready.to_owned(),
        reason,
        message: status.message.clone().unwrap_or_default(),
        last_transition_time: since.clone(),
        observed_generation: rebalance.metadata.generation,
    }];
}

fn asked(rebalance: &GoChatRebalance, annotation: &str) -> bool {
    let annotations = rebalance.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(annotation)).is_some_and(|value| value == "true")
}

fn ratio(balance: &Balance) -> String {
    format!("{:.2}", balance.imbalance())
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use gochat_crds::{GoChatClusterSpec, GoChatPlacementSpec, GoChatRebalanceSpec, PlacedWorkload};
    use gochat_proto::ops::{LoadReport, SlotLoad};
    use gochat_senses::{Capacity, Member};
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn report(epoch: u64, slots: &[u32]) -> LoadReport {
        let slots =
            slots.iter().map(|&slot| SlotLoad { slot, records_per_second: 1_000.0, ..SlotLoad::default() });
        LoadReport { epoch, slots: slots.collect(), ..LoadReport::default() }
    }

    fn map(epoch: i64, members: &[&str], owners: &[u16]) -> GoChatPlacementSpec {
        let members = members.iter().map(|&name| name.to_owned()).collect();
        GoChatPlacementSpec { epoch, members, owners: owners.to_vec(), ..Default::default() }
    }

    fn look(map: &GoChatPlacementSpec, members: &[Member<'_>]) -> Picture {
        let capacity = Capacity::of(&GoChatClusterSpec::default(), PlacedWorkload::Logic);
        Picture::of(map, 4, members, &capacity, &mut Vec::new(), &[])
    }

    fn member<'a>(name: &'a str, report: Option<&'a LoadReport>) -> Member<'a> {
        Member { name, phase: MemberPhase::Active, report }
    }

    /// `a` works on all four slots, `b` on none.
    fn uneven() -> (GoChatPlacementSpec, LoadReport, LoadReport) {
        (map(3, &["a"], &[0, 0, 0, 0]), report(3, &[0, 1, 2, 3]), report(3, &[]))
    }

    fn asked(spec: GoChatRebalanceSpec) -> GoChatRebalance {
        GoChatRebalance::new("even", GoChatRebalanceSpec { parallel: 1, ..spec })
    }

    fn step_with(
        rebalance: &mut GoChatRebalance,
        picture: &Picture,
        busy_with: Option<&str>,
        stuck: bool,
    ) -> Step {
        let now = Time(Timestamp::UNIX_EPOCH);
        let around = Around { picture, policy: Policy::default(), busy_with, stuck, now: &now };
        let step = step(rebalance, &around);
        rebalance.status = Some(step.status.clone());
        step
    }

    fn next(rebalance: &mut GoChatRebalance, picture: &Picture) -> Step {
        step_with(rebalance, picture, None, false)
    }

    #[test]
    fn moves_are_started_one_by_one_and_counted_when_they_are_taken_over() {
        let (map0, a, b) = uneven();
        let mut rebalance = asked(GoChatRebalanceSpec { auto_approve: true, ..Default::default() });
        let both = [member("a", Some(&a)), member("b", Some(&b))];
        let picture = look(&map0, &both);
        let proposed = next(&mut rebalance, &picture).status;
        assert_eq!(
            (proposed.phase, proposed.total, proposed.progress.as_str()),
            (RebalancePhase::Proposed, 2, "0/2")
        );

        let waits = step_with(&mut rebalance, &picture, Some("another"), false);
        assert_eq!(
            (waits.start.len(), waits.status.message.unwrap()),
            (0, "approved; waits for another to end".into())
        );
        let moving = next(&mut rebalance, &picture);
        assert_eq!((moving.status.phase, moving.start.len()), (RebalancePhase::Moving, 1));
        assert_eq!(next(&mut rebalance, &picture).start, moving.start, "as long as the map was not written");

        let slot = moving.start[0].0;
        let mut owners = vec![0; 4];
        owners[slot as usize] = 1;
        let map1 = map(4, &["a", "b"], &owners);
        let under_way = look(&map1, &both);
        let waiting = next(&mut rebalance, &under_way);
        assert_eq!((waiting.start.len(), waiting.status.moved), (0, 0));
        let failed = step_with(&mut rebalance.clone(), &under_way, None, true).status;
        assert_eq!(failed.phase, RebalancePhase::Failed);
        assert_eq!(
            failed.message.unwrap(),
            format!("not taken over in time: slot {slot} by b; 0 of 2 moved")
        );

        let rest: Vec<u32> = (0..4).filter(|other| *other != slot).collect();
        let (a, b) = (report(4, &rest), report(4, &[slot]));
        let taken = look(&map1, &[member("a", Some(&a)), member("b", Some(&b))]);
        let second = next(&mut rebalance, &taken);
        assert_eq!((second.status.moved, second.start.len()), (1, 1));

        // Its target has gone: what is left is about a world that is no more.
        let alone = look(&map1, &[member("a", Some(&a))]);
        let over = next(&mut rebalance, &alone).status;
        assert_eq!(over.phase, RebalancePhase::Done);
        assert_eq!(over.message.unwrap(), "1 of 2 moved; 1 were outdated, members or map changed meanwhile");
        assert_eq!(over.conditions[0].status, "True");
    }

    #[test]
    fn what_an_evacuation_reached_is_told_of_those_that_are_left() {
        let (map0, a, b) = uneven();
        let spec =
            GoChatRebalanceSpec { auto_approve: true, evacuate: vec!["a".into()], ..Default::default() };
        let mut rebalance = asked(spec);
        rebalance.spec.parallel = 4;
        let picture = look(&map0, &[member("a", Some(&a)), member("b", Some(&b))]);
        next(&mut rebalance, &picture);
        next(&mut rebalance, &picture);
        let map1 = map(4, &["b"], &[0; 4]);
        let (a, b) = (report(4, &[]), report(4, &[0, 1, 2, 3]));
        let empty = look(&map1, &[member("a", Some(&a)), member("b", Some(&b))]);
        let done = next(&mut rebalance, &empty).status;
        assert_eq!((done.phase, done.moved), (RebalancePhase::Done, 4));
        assert_eq!(done.imbalance.unwrap().reached.as_deref(), Some("1.00"));
    }

    #[test]
    fn what_cannot_be_planned_says_why() {
        let (map, a, b) = uneven();
        let both = look(&map, &[member("a", Some(&a)), member("b", Some(&b))]);
        let first = |spec: GoChatRebalanceSpec, picture: &Picture| next(&mut asked(spec), picture).status;
        let message = |status: RebalanceStatus| (status.phase, status.message.unwrap());

        let unknown = GoChatRebalanceSpec { evacuate: vec!["x".into()], ..Default::default() };
        let said = "spec.evacuate: x is no pod of this workload".to_owned();
        assert_eq!(message(first(unknown, &both)), (RebalancePhase::Failed, said));
        let everybody = GoChatRebalanceSpec { evacuate: vec!["a".into(), "b".into()], ..Default::default() };
        assert_eq!(first(everybody, &both).phase, RebalancePhase::Failed);
        let away = look(&map, &[member("a", Some(&a)), member("b", None)]);
        let said = "waits for loads: 1 of 2 members report".to_owned();
        assert_eq!(message(first(GoChatRebalanceSpec::default(), &away)), (RebalancePhase::New, said));
        let evacuated = GoChatRebalanceSpec { evacuate: vec!["a".into()], ..Default::default() };
        assert_eq!(first(evacuated, &both).total, 4);
        let alone = look(&map, &[member("a", Some(&a))]);
        let even = first(GoChatRebalanceSpec::default(), &alone);
        assert_eq!(
            message(even),
            (
                RebalancePhase::Done,
                "nothing to move: the hottest member is at 1.00 of its share, band 1.10".into()
            )
        );
    }

    #[test]
    fn a_dry_run_is_ready_when_it_is_proposed_and_never_moves() {
        let (map, a, b) = uneven();
        let picture = look(&map, &[member("a", Some(&a)), member("b", Some(&b))]);
        let mut rebalance =
            asked(GoChatRebalanceSpec { dry_run: true, auto_approve: true, ..Default::default() });
        next(&mut rebalance, &picture);
        let again = next(&mut rebalance, &picture);
        assert_eq!((again.status.phase, again.start.len()), (RebalancePhase::Proposed, 0));
        let condition = &again.status.conditions[0];
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("True", "DryRun"));
    }
}
