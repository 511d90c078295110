//! What happened to instances and load lines: the events of the dashboard.

use plimsoll_telemetry::snapshot::InstanceState;
use serde::Serialize;

/// Something that happened between two looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// Counts up from 1 with each change.
    pub(crate) number: u64,
    pub(super) at_unix_ms: u64,
    pub(super) uptime_ms: u64,
    pub(super) upstream: String,
    #[serde(flatten)]
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum What {
    Instance {
        instance: String,
        /// Absent: it was not there before.
        from: Option<InstanceState>,
        /// Absent: it is gone.
        to: Option<InstanceState>,
        /// Starts in between: a fast restart may show in no state at all.
        restarts: u64,
    },
    /// The upstream gets more than it can do.
    Overloaded {
        limit: u64,
        /// Requests turned away since it was last seen calm.
        refused: u64,
    },
    /// All that arrives is served again.
    Calm { limit: u64, refused: u64, lasted_ms: u64 },
}
