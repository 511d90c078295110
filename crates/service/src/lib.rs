//! The reference API: small, twelve-factor, without any state of its own. What instances share lives in [`plimsoll_state`].
//!
//! | module | holds |
//! |---|---|
//! | [`mod@app`] | the whole API as one service: what tests call without a server |
//! | [`server`] | accepting connections, and drain |
//! | [`config`], [`context`] | what an instance is told, and what its handlers reach |
//! | `router`, `handlers` | which call is answered by which function |
//! | [`session`] | who is logged in: signed cookies, records in shared state |
//! | `content` | reading a JSON body and naming every fault in it at once |
//! | `stats` | which instance served the last requests, across the fleet |
//! | [`lifecycle`] | starting, running, draining: what the probes ask about |

pub mod app;
pub mod config;
mod content;
pub mod context;
mod handlers;
pub mod lifecycle;
mod refused;
mod router;
pub mod server;
pub mod session;
mod stats;
mod timestamp;
mod visitor;

pub use app::app;
pub use config::{Config, Listen};
pub use context::Context;
pub use server::{Error, Server, serve};
pub use session::SessionKeys;
