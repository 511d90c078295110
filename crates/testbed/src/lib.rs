//! Real servers for tests: started on free ports in temporary directories, stopped on drop.
//!
//! A server that is not installed fails the test and names `cargo xtask setup`; nothing is ever skipped.

mod base64;
pub mod browser;
pub mod capacity;
pub mod dns;
pub mod exchange;
pub mod node;
pub mod poll;
pub mod port;
pub mod postgres;
pub mod process;
pub mod python;
pub mod redis;
mod repository;
