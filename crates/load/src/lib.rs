//! Asks an HTTP API on a schedule of its own and tells what came back when: the engine of `plimsoll load`.
//!
//! Load is open by default: requests are due at moments that do not depend on the server, and every latency counts from that moment.
//! A server that stops for a second therefore shows a second, to every request that was due meanwhile.
//!
//! | module | holds |
//! |---|---|
//! | [`plan`] | what is to be asked of whom, when, and for how long |
//! | [`target`] | where requests go, and whose that is |
//! | [`scenario`] | the requests themselves: weights, templates, virtual users |
//! | [`schedule`] | when requests are due: pure and seeded |
//! | [`run`] | carries a plan out |
//! | [`record`] | what came back, second by second, and how it is kept |
//! | [`histogram`] | durations in buckets, at most 0.8 % apart |

pub mod error;
pub mod histogram;
pub mod plan;
pub mod record;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod target;

pub use error::Error;
pub use histogram::Histogram;
pub use plan::{Arrivals, Pace, Plan, Protocol, Stage, Trust};
pub use record::{ErrorKind, Recording, Totals};
pub use run::{Progress, run};
pub use scenario::Scenario;
pub use target::Target;
