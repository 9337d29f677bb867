//! The controller of GoChatCluster: a typed pipeline.
//!
//! ```text
//! dereference   reads what the decision needs: Facts
//! validate      (GoChatCluster, Facts, Defaults) → ValidCluster                          pure
//! build         ValidCluster → pod templates; with the rollout → all objects             pure
//! rollout       whose template may change now, and whether the migration runs            pure
//! apply         sends the objects in order: those that differ
//! orphans       deletes what is labelled ours and not wanted any more
//! status        what is true of it                                                       pure
//! ```

mod apply;
pub mod build;
mod conditions;
pub mod dereference;
mod each;
pub mod finalizer;
mod key;
pub mod leftovers;
mod orphans;
pub mod put_back;
mod read;
pub mod reasons;
pub mod reconcile;
mod report;
pub mod rollout;
pub mod scale;
pub mod secrets;
mod signing_keys;
pub mod status;
pub mod validate;

pub use each::Each;
pub use key::ClusterKey;

use gochat_crds::GoChatCluster;

use build::Objects;
use dereference::Facts;
use rollout::RolloutPlan;
use validate::{Defaults, Invalid, ValidCluster};

/// All that a reconcile decides about a cluster, before anything is written.
#[derive(Clone, Debug)]
pub struct Desired {
    /// The cluster, checked.
    pub cluster: ValidCluster,
    /// What may change now.
    pub rollout: RolloutPlan,
    /// What should be there.
    pub objects: Objects,
}

/// Decides. Pure: the same input gives the same objects, byte for byte.
pub fn desired(cluster: &GoChatCluster, facts: &Facts, defaults: &Defaults) -> Result<Desired, Invalid> {
    let cluster = validate::validate(cluster, facts, defaults)?;
    let templates = build::templates(&cluster)?;
    let rollout = rollout::plan(&cluster, &templates, facts);
    let objects = build::build(&cluster, &templates, &rollout, facts);
    Ok(Desired { cluster, rollout, objects })
}
