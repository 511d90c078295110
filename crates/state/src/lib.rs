//! What instances share: one small interface and three backends behind it.
//!
//! | backend | reaches | url |
//! |---|---|---|
//! | [`memory`] | one process | `memory:` |
//! | [`sqlite`] | the processes of one host | `sqlite:PATH` |
//! | [`redis`] | many hosts | `redis://…`, `redis+sentinel://…`, `redis+cluster://…`, `redis+unix:///…` |

mod backend;
mod gcra;
mod hub;
mod limits;
pub mod memory;
mod open;
pub mod redis;
pub mod sqlite;

pub use backend::{Backend, Error, Lock, Message, Result, State, Subscription, TokenBucket, Tokens, Value, Version};
pub use limits::{KEY_BYTES_MAX, LIST_LENGTH_MAX, VALUE_BYTES_MAX};
pub use open::open;
