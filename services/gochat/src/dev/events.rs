//! What happens, in one line each, for whoever watches the terminal.

use std::time::Duration;

use gochat_chassis::PrometheusHandle;
use gochat_coord::{Coord, Owners};
use gochat_core::Workload;

use crate::placement::slots;
use crate::say;
use crate::settings::Settings;

/// Between two looks at the number of connections.
const LOOK: Duration = Duration::from_secs(5);

/// More moves at once than this are told as a number.
const FEW: usize = 4;

/// Tells for ever.
pub(super) async fn tell(coord: &Coord, settings: &Settings, metrics: &PrometheusHandle) {
    let moves = |workload| moves(coord, settings, workload);
    tokio::join!(
        moves(Workload::Gateway),
        moves(Workload::Logic),
        moves(Workload::Task),
        connections(metrics)
    );
}

async fn moves(coord: &Coord, settings: &Settings, workload: Workload) {
    let Ok(slots) = slots(workload, settings) else { return };
    let mut owners = coord.owners(workload, slots);
    let mut before = owners.borrow_and_update().clone();
    while owners.changed().await.is_ok() {
        let now = owners.borrow_and_update().clone();
        for line in difference(workload, &before, &now) {
            say::line(&line);
        }
        before = now;
    }
}

/// Slots that had an owner and have another.
fn difference(workload: Workload, before: &Owners, now: &Owners) -> Vec<String> {
    let pairs = before.by_slot.iter().zip(&now.by_slot).enumerate();
    let moved: Vec<String> = pairs
        .filter_map(|(slot, (from, to))| {
            let (from, to) = (from.as_ref()?, to.as_ref()?);
            (from.id != to.id).then(|| format!("slot {slot} of {workload} moved: {} → {}", from.id, to.id))
        })
        .collect();
    if moved.len() > FEW {
        return vec![format!("{} slots of {workload} moved, epoch {}", moved.len(), now.epoch.0)];
    }
    moved
}

async fn connections(metrics: &PrometheusHandle) {
    let mut before = 0;
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = connected(&metrics.render());
        if now != before {
            say::line(&format!("{now} connections"));
            before = now;
        }
    }
}

/// The sum of the gateways' connections, as the metrics tell it.
fn connected(rendered: &str) -> u64 {
    let values = rendered
        .lines()
        .filter(|line| {
            line.starts_with("gochat_gateway_connections{") || line.starts_with("gochat_gateway_connections ")
        })
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a gauge of things that are there"
    )]
    let sum = values.sum::<f64>().max(0.0) as u64;
    sum
}

#[cfg(test)]
mod tests {
    use gochat_coord::Member;
    use gochat_core::{Epoch, MemberId};

    use super::*;

    fn owners(epoch: u64, ids: &[&str]) -> Owners {
        let member = |id: &&str| Member {
            id: MemberId::from(*id),
            workload: Workload::Gateway,
            address: String::new(),
            draining: false,
        };
        Owners {
            epoch: Epoch(epoch),
            by_slot: ids.iter().map(|id| Some(id).filter(|id| !id.is_empty()).map(member)).collect(),
        }
    }

    #[test]
    fn each_moved_slot_is_a_line_and_many_are_one() {
        let lines = difference(Workload::Gateway, &owners(1, &["a", "", "b"]), &owners(2, &["a", "a", "a"]));
        assert_eq!(lines, ["slot 2 of gateway moved: b → a"]);
        let lines = difference(Workload::Gateway, &owners(1, &["a"; 9]), &owners(2, &["b"; 9]));
        assert_eq!(lines, ["9 slots of gateway moved, epoch 2"]);
    }

    #[test]
    fn connections_are_summed_over_the_gateways() {
        let text = "# TYPE gochat_gateway_connections gauge\n\
                    gochat_gateway_connections{member=\"gateway-0\"} 3\n\
                    gochat_gateway_connections{member=\"gateway-1\"} 2\n\
                    gochat_gateway_connections_total 99\n";
        assert_eq!(connected(text), 5);
    }
}
