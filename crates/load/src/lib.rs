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
//! | [`run()`] | carries a plan out |
//! | [`record`] | what came back, second by second, and how it is kept |
//! | [`histogram`] | durations in buckets, at most 0.8 % apart |
//! | [`figures`] | what a group of requests came to |
//! | [`slo`] | what is promised, and whether it is kept |
//! | [`statistics`] | how far a figure can be trusted |
//! | [`search`] | finds the highest rate that keeps a promise |
//! | [`report`] | summary, page, pictures |
//! | [`compare`] | whether two runs differ by more than chance |

pub mod compare;
pub mod error;
pub mod figures;
pub mod histogram;
pub mod plan;
pub mod record;
pub mod report;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod search;
mod send;
pub mod slo;
pub mod statistics;
pub mod target;

pub use error::Error;
pub use figures::Figures;
pub use histogram::Histogram;
pub use plan::{Arrivals, Pace, Plan, Protocol, Stage, Trust};
pub use record::{ErrorKind, Recording, Totals};
pub use report::Report;
pub use run::{Progress, run};
pub use scenario::Scenario;
pub use send::recognise::is_edge;
pub use slo::Slo;
pub use target::Target;
