//! The shop and its weather service over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot start its servers fails here")]

mod outbound;
mod overload;
mod shop;
mod weather;
