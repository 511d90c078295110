//! The real binary, run whole.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "all of this is tests; the lints know only functions marked so"
)]

mod acme;
mod activation;
mod balancer;
mod bare;
mod clients;
mod config;
mod dashboard;
mod discovery;
mod edge_alone;
mod ending;
mod failures;
mod fleet;
mod hostile;
mod http;
mod lineage;
mod load;
mod named_file;
mod open_files;
mod operators;
mod origin;
mod overload;
mod processes;
mod reload;
mod replaced_binary;
mod routing;
mod secure;
mod servers;
mod sessions;
mod steady;
mod survival;
mod switched;
mod tls;
mod traffic;
mod transfer;
mod two_gateways;
mod upgrade;
mod upstream_http2;
mod web_app;
mod websocket;
