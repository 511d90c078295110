//! The reference API through real sockets.

#![allow(clippy::unwrap_used, reason = "clippy.toml exempts only functions marked as tests, and these files are nothing but tests")]

mod access_log;
mod calls;
mod client;
mod drain;
mod fleet;
mod forged_cookies;
mod instance;
mod login_faults;
mod outage;
mod scripted_state;
mod server;
mod sessions;
