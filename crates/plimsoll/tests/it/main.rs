//! The real binary, run whole.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "all of this is tests; the lints know only functions marked so"
)]

mod bare;
mod config;
mod dashboard;
mod discovery;
mod edge_alone;
mod ending;
mod failures;
mod fleet;
mod http;
mod load;
mod named_file;
mod open_files;
mod operators;
mod origin;
mod overload;
mod processes;
mod replaced_binary;
mod secure;
mod servers;
mod sessions;
mod survival;
mod traffic;
mod transfer;
mod two_gateways;
mod websocket;
