//! How full a load line was, whether its upstream is calm or overloaded, and since when.

use std::collections::VecDeque;

use plimsoll_telemetry::status::LoadLineStatus;

use super::change::What;
use super::point::Level;
use super::{POINTS_MAX, push_bounded};

/// A load line as it was last seen.
pub(super) struct Line {
    overloaded: bool,
    /// When that began, as uptime. Absent: it was so at the first look.
    pub(super) since_ms: Option<u64>,
    /// The requests it had turned away when it was last seen calm.
    refused_before: u64,
    pub(super) levels: VecDeque<Level>,
}

impl Line {
    pub(super) fn first_seen(line: &LoadLineStatus) -> Self {
        Self { overloaded: line.overloaded, since_ms: None, refused_before: line.shed_total, levels: VecDeque::new() }
    }

    /// Takes in the next look and says what it means. An overload lasts for a second at least, so that looks a second apart see each one.
    pub(super) fn next(&mut self, line: &LoadLineStatus, uptime_ms: u64) -> Option<What> {
        push_bounded(&mut self.levels, POINTS_MAX, Level::of(line, uptime_ms));
        let refused = line.shed_total.saturating_sub(self.refused_before);
        let lasted_ms = uptime_ms.saturating_sub(self.since_ms.unwrap_or(0));
        if !line.overloaded {
            self.refused_before = line.shed_total;
        }
        if line.overloaded == self.overloaded {
            return None;
        }
        self.overloaded = line.overloaded;
        self.since_ms = Some(uptime_ms);
        let limit = line.limit;
        Some(if line.overloaded { What::Overloaded { limit, refused } } else { What::Calm { limit, refused, lasted_ms } })
    }
}
