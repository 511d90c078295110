//! The edge over real sockets, through its public API, in front of origins that follow a script.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access_log;
mod admission;
mod balancing;
mod deadlines;
mod drain;
mod edge;
mod failover;
mod headers;
mod http2;
mod limits;
mod malformed;
mod origin;
mod peer;
mod priorities;
mod resilience;
mod streaming;
mod upgrade;
