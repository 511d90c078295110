//! What is measured and how it is named.
//!
//! | module | holds |
//! |---|---|
//! | [`histogram`] | latency buckets that any thread may add to without a lock |
//! | [`snapshot`] | the running totals of a fleet at one moment: what `/metrics` prints |
//! | [`status`] | rates and percentiles between two snapshots: what the dashboard and `plimsoll status` read |
//! | [`log`] | how log lines look |

pub mod histogram;
pub mod log;
pub mod snapshot;
pub mod status;

pub use histogram::{Histogram, HistogramCounts};
pub use snapshot::{InstanceSnapshot, InstanceState, Snapshot};
pub use status::Status;
