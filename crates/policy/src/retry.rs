//! Whether a request may be made again: the rule that edge and layers share.
//!
//! Safe is what has not been sent, or whose method is idempotent: doing it twice is the same as doing it once (RFC 9110, section 9.2.2).
//! Worth it is a failure without an answer, or an answer that says the server could not. Whether there is a budget for it, and time, is
//! decided by [`budget`] and [`backoff`].

pub mod layer;

use http::StatusCode;

use crate::breaker::COULD_NOT;
use crate::{backoff, budget};

/// How often, how soon, and what it may cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Attempts for one request, the first included.
    pub attempts_max: u32,
    /// Statuses that say the server could not.
    pub on_status: Vec<StatusCode>,
    pub backoff: backoff::Config,
    pub budget: budget::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self { attempts_max: 3, on_status: COULD_NOT.to_vec(), backoff: backoff::Config::default(), budget: budget::Config::RETRY }
    }
}
