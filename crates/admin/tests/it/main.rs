//! The operator's listener as its users meet it: over real sockets, in front of a fleet that exists only as numbers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail where it stands")]

mod access;
mod client;
mod connections;
mod dashboard;
mod fixture;
mod metrics;
mod pages;
mod stream;
mod unix;
