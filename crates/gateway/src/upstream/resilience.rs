//! What an upstream has left to spend on trouble, and whether it is spared altogether.

use plimsoll_policy::breaker::Breaker;
use plimsoll_policy::budget::Budget;

use crate::config::UpstreamConfig;

pub(crate) struct Resilience {
    /// Pays for attempts after failed ones.
    pub(crate) retries: Budget,
    /// In front of all attempts; `None`: requests always go on.
    pub(crate) breaker: Option<Breaker>,
}

impl Resilience {
    pub(super) fn new(config: &UpstreamConfig) -> Self {
        Self { retries: Budget::new(config.retry_budget), breaker: config.breaker.map(Breaker::new) }
    }

    /// Somebody takes traffic.
    pub(super) fn somebody_is_there(&self) {
        if let Some(breaker) = &self.breaker {
            breaker.cause_is_gone();
        }
    }
}
