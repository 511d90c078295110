//! The engine against real servers, on loopback sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;
mod http2;
mod limit;
mod open;
mod scenario;
mod server;
mod stop;
mod tls;
mod truth;
mod wire;
