//! The reasons of conditions: CamelCase, for machines and for searching. What each means and what to do about it is in
//! `docs/conditions.md`, which a test keeps equal to this file.
