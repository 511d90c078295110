//! The real binary, run whole.
#![allow(clippy::unwrap_used, reason = "all of this is tests; the lint knows only functions marked so")]

mod config;
