//! How many members a workload needs, and why.
