//! The supervisor with real processes, through its public API.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod failures;
mod life;
mod orphans;
mod output;
mod stop;
mod world;
