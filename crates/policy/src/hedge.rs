//! When a second attempt races a slow first one.
//!
//! A few answers take very long for reasons that have nothing to do with the request: a pause of a garbage collector, a lock, a lost packet.
//! Asking somebody else after most answers would have come, and taking whichever comes first, cuts that tail for the price of a few
//! requests. The delay is measured, so that only those beyond the budget's quantile are asked twice: with a budget of 2 %, what is slower
//! than 98 % of recent answers. Where so much is slow that the budget is used up, hedging stops by itself instead of adding load to what
//! is overloaded.
//!
//! Only for requests that may be made twice and have no body, and only where somebody has said that twice is acceptable.

pub mod layer;
mod quantile;

#[cfg(test)]
mod tests;

use std::pin::{Pin, pin};
use std::time::Duration;

use http::StatusCode;
use tokio::select;
use tokio::time::timeout;

use crate::breaker::COULD_NOT;
use crate::budget::{self, Budget};
use quantile::Quantile;

/// How often, and how early.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Second attempts, as a share of requests.
    pub share: f32,
    /// A second attempt is made after this share of recent answers would have come, at the earliest.
    pub quantile: f32,
    /// Not before this time either: a millisecond saved is not worth an attempt.
    pub delay_min: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { share: budget::Config::HEDGE.share, quantile: 0.95, delay_min: Duration::from_millis(1) }
    }
}

/// What has been measured of one group of alike requests, and what is left to spend on them.
///
/// ```
/// use std::time::Duration;
///
/// use plimsoll_policy::hedge::{Config, Hedge};
///
/// let hedge = Hedge::new(Config::default());
/// assert_eq!(hedge.delay(), None, "nothing is known yet");
/// for number in 0..1_000 {
///     hedge.request(number);
///     hedge.answered(Duration::from_millis(10), number);
/// }
/// let delay = hedge.delay().unwrap();
/// assert!(delay >= Duration::from_millis(10) && delay < Duration::from_millis(12));
/// assert!(hedge.try_start(1_000));
/// ```
#[derive(Debug)]
pub struct Hedge {
    config: Config,
    latencies: Quantile,
    budget: Budget,
}

impl Default for Hedge {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Hedge {
    pub fn new(config: Config) -> Self {
        let budget = budget::Config { share: config.share, ..budget::Config::HEDGE };
        // Earlier than the budget's own quantile, more attempts would be wanted than may be made.
        let latencies = Quantile::new(config.quantile.max(1.0 - config.share));
        Self { config, latencies, budget: Budget::new(budget) }
    }

    /// A request that may be hedged gets its first attempt.
    pub fn request(&self, now_ns: u64) {
        self.budget.request(now_ns);
    }

    /// After which time without an answer a second attempt is worth it; `None` while too little is known.
    pub fn delay(&self) -> Option<Duration> {
        Some(self.latencies.get()?.max(self.config.delay_min))
    }

    /// The outcome of the first attempt, if it comes before a second one is worth it.
    pub async fn early<F: Future>(&self, first: Pin<&mut F>) -> Option<F::Output> {
        match self.delay() {
            Some(delay) => timeout(delay, first).await.ok(),
            None => Some(first.await),
        }
    }

    /// Takes the price of a second attempt.
    pub fn try_start(&self, now_ns: u64) -> bool {
        self.budget.try_spend(now_ns)
    }

    /// The second attempt was not made after all: there was nobody to make it at.
    pub fn not_started(&self, now_ns: u64) {
        self.budget.unspend(now_ns);
    }

    /// An attempt was answered, or lost the race after this time: then it would have taken at least as long.
    pub fn answered(&self, took: Duration, now_ns: u64) {
        self.latencies.record(took, now_ns);
    }
}

/// What an attempt came to, from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// No answer at all.
    Nothing,
    /// Somebody said that they could not, and perhaps when they can.
    Declined,
    Answer,
}

impl Worth {
    pub fn of_status(status: StatusCode) -> Self {
        if COULD_NOT.contains(&status) { Self::Declined } else { Self::Answer }
    }
}

/// Whichever attempt is answered first, and whether that was the second. One that is not leaves the other the time it needs; when neither is
/// answered, what is worth more counts, or else what came later. The second is not begun before it is polled.
pub async fn better<T>(first: impl Future<Output = T>, second: impl Future<Output = T>, worth: impl Fn(&T) -> Worth) -> (T, bool) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (early, late, late_is_second) = select! {
        biased;
        outcome = &mut first => if worth(&outcome) == Worth::Answer { return (outcome, false) } else { (outcome, second.await, true) },
        outcome = &mut second => if worth(&outcome) == Worth::Answer { return (outcome, true) } else { (outcome, first.await, false) },
    };
    if worth(&late) >= worth(&early) { (late, late_is_second) } else { (early, !late_is_second) }
}
