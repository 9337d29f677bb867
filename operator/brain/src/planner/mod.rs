//! Which member owns which slot, and why.
