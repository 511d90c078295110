//! What is measured and how it is named.
//!
//! | module | holds |
//! |---|---|
//! | [`histogram`] | latency buckets that any thread may add to without a lock |
//! | [`snapshot`] | the running totals of a fleet at one moment |
//! | [`status`] | rates and percentiles between two snapshots: what the dashboard and `plimsoll status` read |
//! | [`window`] | the last seconds of snapshots, from which a status is made |
//! | [`exposition`] | a snapshot as Prometheus text: what `/metrics` prints |
//! | [`log`] | how log lines look and where they go |

pub mod exposition;
pub mod histogram;
pub mod log;
pub mod snapshot;
pub mod status;
pub mod window;

pub use histogram::{Histogram, HistogramCounts};
pub use snapshot::{InstanceSnapshot, InstanceState, Snapshot};
pub use status::Status;
pub use window::Window;
