//! The operator's listener: metrics, status, stream, dashboard. Over TCP it shows, and does not steer.
//!
//! | path | answers |
//! |---|---|
//! | `/` | the dashboard: one page, live without a reload |
//! | `/metrics` | the running totals as Prometheus text |
//! | `/api/status` | a `telemetry::Status` as JSON, taken at that moment |
//! | `/api/stream` | the same each second as server-sent events, preceded by the last five minutes |
//! | `/health/live` | 200 while this process answers at all |
//! | `/control/reload`, `/control/upgrade` | over the fleet's Unix socket only: `POST` does it, and answers when it is done |
//!
//! | module | holds |
//! |---|---|
//! | `config` | token, host names, limits, and which addresses they permit |
//! | `listener` | where it listens: TCP, or the fleet's Unix socket |
//! | `server` | connections: accepted, capped, timed, drained |
//! | `router` | the paths above and the headers on every answer |
//! | `access` | who may read: the decision |
//! | `control` | orders, and what came of them |
//! | `sampler`, `history` | one look at the fleet per second, shared by every dashboard |
//! | `stream` | server-sent events |
//! | `assets` | the dashboard's files, embedded |

mod access;
mod assets;
mod config;
mod control;
mod history;
mod listener;
mod router;
mod sampler;
mod server;
mod stream;

pub use config::{Config, Error, Limits};
pub use control::{Answer, Order, Outcome, Wish};
pub use listener::Listener;
pub use sampler::Source;
pub use server::serve;
