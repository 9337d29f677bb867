//! The order of a change: migrate → repo → logic → task → gateway, one at a time. Pure: from observed objects alone.

use gochat_crds::RolloutStep;

use super::Each;
use super::build::Template;
use super::dereference::Facts;
use super::validate::ValidCluster;

/// What may be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutPlan {
    /// For each workload, which pod template its Deployment gets.
    pub turns: Each<Turn>,
    /// Whether the migration's Job is to be there.
    pub migrate: bool,
    /// How far it is.
    pub progress: Progress,
}

/// Which pod template a Deployment gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// The wanted one.
    #[default]
    Wanted,
    /// The one that it has: it is not its turn yet.
    Held,
}

/// How far a change is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All workloads have the wanted template, on all pods.
    Done,
    /// Under way.
    Moving {
        /// Where.
        step: RolloutStep,
        /// What it waits for, with numbers.
        waiting: String,
    },
    /// It does not go on by itself.
    Stopped {
        /// Where.
        step: RolloutStep,
        /// Why.
        why: String,
    },
}

/// Decides what may change now.
pub fn plan(_cluster: &ValidCluster, _templates: &Each<Template>, _facts: &Facts) -> RolloutPlan {
    RolloutPlan { turns: Each::default(), migrate: true, progress: Progress::Done }
}
