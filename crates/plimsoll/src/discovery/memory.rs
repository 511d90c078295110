//! What an answer, or the lack of one, means for what is known of a name.
//!
//! A name server that fails says nothing about the servers, so they stay, whoever long it lasts: probes tell whether they are there. A name
//! without any address is an answer, but one that a rollout may give for a moment: it is believed when it has been said for a while.

use std::time::Duration;

use tokio::time::Instant;

use super::Found;
use super::dns::{Answer, Trouble};

/// The longest wait before a name server that failed is asked again.
const RETRY_MAX: Duration = Duration::from_secs(10);

/// How often is asked, and how long an empty answer is doubted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) ttl_min: Duration,
    pub(super) ttl_max: Duration,
    pub(super) empty_after: Duration,
}

pub(super) struct Memory {
    pace: Pace,
    known: Vec<Found>,
    standing: Standing,
    failures: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing has been heard yet.
    New,
    Good,
    /// It has no address since then.
    Empty {
        since: Instant,
        believed: bool,
    },
    Troubled(Trouble),
}

/// What is worth a line in the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    Changed {
        came: usize,
        went: usize,
    },
    /// Said once for each kind of trouble; what is known stays.
    Troubled(Trouble),
    /// It had no address for so long that it is believed.
    Emptied,
    /// It stands for something again, the same as before.
    Recovered,
}

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// The servers, if they are others than before.
    pub(super) found: Option<Vec<Found>>,
    pub(super) news: Option<News>,
    /// Before the next question.
    pub(super) wait: Duration,
}

impl Memory {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, known: Vec::new(), standing: Standing::New, failures: 0 }
    }

    pub(super) fn take(&mut self, answer: Result<Answer, Trouble>, now: Instant) -> Next {
        match answer {
            Ok(answer) => self.good(answer),
            Err(Trouble::Empty) => self.empty(now),
            Err(trouble) => self.troubled(trouble),
        }
    }

    fn good(&mut self, answer: Answer) -> Next {
        let was_troubled = !matches!(std::mem::replace(&mut self.standing, Standing::Good), Standing::New | Standing::Good);
        self.failures = 0;
        let wait = answer.ttl.clamp(self.pace.ttl_min, self.pace.ttl_max);
        if answer.found == self.known {
            return Next { found: None, news: was_troubled.then_some(News::Recovered), wait };
        }
        let came = answer.found.iter().filter(|found| !self.known.contains(found)).count();
        let went = self.known.iter().filter(|known| !answer.found.contains(known)).count();
        self.known.clone_from(&answer.found);
        Next { found: Some(answer.found), news: Some(News::Changed { came, went }), wait }
    }

    fn empty(&mut self, now: Instant) -> Next {
        let (since, believed) = match self.standing {
            Standing::Empty { since, believed } => (since, believed),
            _ => (now, false),
        };
        let is_new = !matches!(self.standing, Standing::Empty { .. });
        let believe = !believed && !self.known.is_empty() && now - since >= self.pace.empty_after;
        self.standing = Standing::Empty { since, believed: believed || believe };
        if believe {
            self.known.clear();
        }
        let news = if believe { Some(News::Emptied) } else { is_new.then_some(News::Troubled(Trouble::Empty)) };
        Next { found: believe.then(Vec::new), news, wait: self.retry() }
    }

    fn troubled(&mut self, trouble: Trouble) -> Next {
        let is_new = !matches!(&self.standing, Standing::Troubled(known) if known.is_like(&trouble));
        self.standing = Standing::Troubled(trouble.clone());
        Next { found: None, news: is_new.then_some(News::Troubled(trouble)), wait: self.retry() }
    }

    /// Each wait is twice as long as the one before.
    fn retry(&mut self) -> Duration {
        let longest = RETRY_MAX.max(self.pace.ttl_min);
        let wait = self.pace.ttl_min.saturating_mul(2_u32.saturating_pow(self.failures)).min(longest);
        self.failures = self.failures.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests;
