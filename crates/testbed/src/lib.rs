//! Real servers for tests: started on free ports in temporary directories, stopped on drop.
//!
//! A server that is not installed fails the test and names `cargo xtask setup`; nothing is ever skipped.

pub mod poll;
pub mod port;
pub mod process;
pub mod redis;
