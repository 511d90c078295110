//! The settings of admission. None needs to be changed for an ordinary application.

use std::time::Duration;

/// See the fields; [`Config::default`] is meant to fit everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest a request waits for a place while the load is ordinary.
    pub queue_wait_max: Duration,
    /// How much waiting is left in the queue once it is clear that not everybody can be served.
    pub queue_wait_overloaded: Duration,
    /// The most requests that wait at once, of all classes together.
    pub waiters_max: usize,
    /// Requests at once per instance before anything is known about it.
    pub limit_initial: usize,
    /// The fewest requests at once per instance, whatever is measured.
    pub limit_min: usize,
    /// The most requests at once for the whole pool, whatever is measured.
    pub limit_max: usize,
}

impl Config {
    /// So many requests at once, measured by somebody else.
    #[must_use]
    pub fn fixed_at(self, limit: usize) -> Self {
        Self { limit_initial: limit, limit_min: limit, limit_max: limit, ..self }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // An application that stalls for half a second at four fifths of its capacity works off what gathered in little more than that.
            queue_wait_max: Duration::from_millis(750),
            queue_wait_overloaded: Duration::from_millis(50),
            // As many as the edge has connections: in practice time bounds the queue, and this bounds the memory.
            waiters_max: 8_192,
            limit_initial: 20,
            limit_min: 1,
            limit_max: 16_384,
        }
    }
}
