//! How many attempts may be made beyond one for each request: a share of live traffic, so that trouble is never multiplied.
//!
//! Retrying helps while few requests fail and does harm when all do: three attempts for each request triple the load on whoever is already
//! down. So every request pays a share of a token into an account, and every further attempt takes a whole one. While all is well nobody
//! notices; when everything fails, attempts stay at `1 + share` times the requests.
//!
//! - A small *reserve* stands at the beginning and comes back slowly, so that a lone failed request at little traffic is retried, and so are
//!   the requests that were under way at an instance that died.
//! - What is saved beyond the reserve is forgotten within a few [`MEMORY`]s. An hour without failures does not pay for a storm. The savings
//!   are `share × rate × MEMORY`, which by Little's law covers the requests in flight at one of `n` instances whose answers take up to
//!   `n × share × MEMORY`.
//!
//! Costs one load and one compare-and-swap per request.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The time constant with which savings beyond the reserve are forgotten.
pub const MEMORY: Duration = Duration::from_secs(2);

/// An account counts in thousandths of a token.
const TOKEN: f32 = 1_000.0;

const NANOS_PER_MS: u64 = 1_000_000;

/// How much may be spent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Attempts beyond the first, as a share of requests.
    pub share: f32,
    /// Attempts that may be made on top, before any request has paid for them.
    pub reserve: u16,
    /// How fast a spent reserve comes back.
    pub refill_per_second: f32,
}

impl Config {
    /// For retries: a tenth, and what is in flight at an instance that dies.
    pub const RETRY: Self = Self { share: 0.10, reserve: 100, refill_per_second: 1.0 };
    /// For hedges, which are made while nothing has failed yet: a fiftieth, and nothing on credit but the first.
    pub const HEDGE: Self = Self { share: 0.02, reserve: 1, refill_per_second: 0.0 };
}

impl Default for Config {
    fn default() -> Self {
        Self::RETRY
    }
}

/// An account that all workers share.
///
/// ```
/// use plimsoll_policy::budget::{Budget, Config};
///
/// let budget = Budget::new(Config { share: 0.1, reserve: 1, refill_per_second: 0.0 });
/// let now_ns = 0;
/// budget.request(now_ns);
/// assert!(budget.try_spend(now_ns), "the reserve");
/// assert!(!budget.try_spend(now_ns), "one request has paid for a tenth of an attempt");
/// (0..10).for_each(|_| budget.request(now_ns));
/// assert!(budget.try_spend(now_ns));
/// ```
#[derive(Debug)]
pub struct Budget {
    config: Config,
    account: AtomicU64,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Budget {
    pub fn new(config: Config) -> Self {
        let full = Account { thousandths: config.reserve_thousandths() as u32, at_ms: 0 };
        Self { config, account: AtomicU64::new(full.pack()) }
    }

    /// A request came and gets its first attempt.
    pub fn request(&self, now_ns: u64) {
        let paid = self.config.share * TOKEN;
        self.change(|account| {
            let account = account.at(now_ns, &self.config);
            Some(Account { thousandths: (account.thousandths as f32 + paid) as u32, ..account })
        });
    }

    /// Takes the price of one further attempt, if it is there.
    pub fn try_spend(&self, now_ns: u64) -> bool {
        self.change(|account| {
            let account = account.at(now_ns, &self.config);
            Some(Account { thousandths: account.thousandths.checked_sub(TOKEN as u32)?, ..account })
        })
    }

    /// Gives back what an attempt that was not made after all had cost.
    pub fn unspend(&self, now_ns: u64) {
        self.change(|account| {
            let account = account.at(now_ns, &self.config);
            Some(Account { thousandths: account.thousandths.saturating_add(TOKEN as u32), ..account })
        });
    }

    /// Attempts that may be made right now.
    pub fn left(&self, now_ns: u64) -> u32 {
        Account::unpack(self.account.load(Relaxed)).at(now_ns, &self.config).thousandths / TOKEN as u32
    }

    fn change(&self, transition: impl Fn(Account) -> Option<Account>) -> bool {
        let change = |word| transition(Account::unpack(word)).map(Account::pack);
        self.account.fetch_update(Relaxed, Relaxed, change).is_ok()
    }
}

impl Config {
    fn reserve_thousandths(&self) -> f32 {
        f32::from(self.reserve) * TOKEN
    }
}

/// What is left, and when that was last worked out, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Account {
    thousandths: u32,
    /// Wraps after 49 days; that is seen as no time at all, and the next request puts it right.
    at_ms: u32,
}

impl Account {
    fn unpack(word: u64) -> Self {
        Self { thousandths: (word >> 32) as u32, at_ms: word as u32 }
    }

    fn pack(self) -> u64 {
        u64::from(self.thousandths) << 32 | u64::from(self.at_ms)
    }

    /// The account at a later time: a spent reserve has grown, savings have shrunk.
    fn at(self, now_ns: u64, config: &Config) -> Self {
        let now_ms = (now_ns / NANOS_PER_MS) as u32;
        // Another worker may have been here at a moment that is still ahead of ours.
        let passed_ms = (now_ms.wrapping_sub(self.at_ms) as i32).max(0) as u32;
        let reserve = config.reserve_thousandths();
        let before = self.thousandths as f32;
        let after = if before < reserve {
            // A millisecond of a slow refill is less than a thousandth: it is left for the next look instead of being rounded away.
            let grown = passed_ms as f32 * config.refill_per_second;
            if grown < 1.0 && config.refill_per_second > 0.0 {
                return self;
            }
            (before + grown).min(reserve)
        } else {
            reserve + (before - reserve) * (-(passed_ms as f32) / MEMORY.as_millis() as f32).exp()
        };
        if passed_ms == 0 { self } else { Self { thousandths: after as u32, at_ms: now_ms } }
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
