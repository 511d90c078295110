//! The edge over real sockets, through its public API, in front of origins that follow a script.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access_log;
mod admission;
mod balancing;
mod caching;
mod compression;
mod deadlines;
mod decode;
mod disclosure;
mod drain;
mod edge;
mod failover;
mod files;
mod handover;
mod headers;
mod hostile;
mod http1_conformance;
mod http2;
mod idle;
mod limits;
mod malformed;
mod origin;
mod peer;
mod priorities;
mod proxy_protocol;
mod reload;
mod resilience;
mod routing;
mod streaming;
mod tls;
mod upgrade;
mod upstream_http2;
