//! The real binary, run whole.
