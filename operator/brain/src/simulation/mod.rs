//! Planner and autoscaler over a recorded trace.
