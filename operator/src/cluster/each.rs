//! One of a thing for each workload: a map that can't miss a key.

use gochat_crds::ScaledWorkload;

/// One `T` for each of the four workloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after the workloads")]
pub struct Each<T> {
    pub repo: T,
    pub logic: T,
    pub task: T,
    pub gateway: T,
}

impl<T> Each<T> {
    /// Makes one for each.
    pub fn make(mut f: impl FnMut(ScaledWorkload) -> T) -> Self {
        use ScaledWorkload::{Gateway, Logic, Repo, Task};
        Self { repo: f(Repo), logic: f(Logic), task: f(Task), gateway: f(Gateway) }
    }

    /// Makes one for each, or gives the first error.
    pub fn try_make<E>(mut f: impl FnMut(ScaledWorkload) -> Result<T, E>) -> Result<Self, E> {
        use ScaledWorkload::{Gateway, Logic, Repo, Task};
        Ok(Self { repo: f(Repo)?, logic: f(Logic)?, task: f(Task)?, gateway: f(Gateway)? })
    }

    /// That of a workload.
    pub const fn get(&self, workload: ScaledWorkload) -> &T {
        match workload {
            ScaledWorkload::Repo => &self.repo,
            ScaledWorkload::Logic => &self.logic,
            ScaledWorkload::Task => &self.task,
            ScaledWorkload::Gateway => &self.gateway,
        }
    }

    /// All, in the order of a version change.
    pub fn iter(&self) -> impl Iterator<Item = (ScaledWorkload, &T)> {
        ScaledWorkload::ALL.into_iter().map(|workload| (workload, self.get(workload)))
    }
}
