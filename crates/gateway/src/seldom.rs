//! A line in the log about something that may happen thousands of times a second, and is worth saying now and then.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

const QUIET: Duration = Duration::from_secs(10);

/// One for each kind of line, in each worker.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    quiet_until: Cell<Option<Instant>>,
    left_out: Cell<u64>,
}

impl Seldom {
    /// Whether it is time for a line, and how many were left out since the last.
    pub(crate) fn take(&self) -> Option<u64> {
        let now = Instant::now();
        if self.quiet_until.get().is_some_and(|until| now < until) {
            self.left_out.set(self.left_out.get() + 1);
            return None;
        }
        self.quiet_until.set(Some(now + QUIET));
        Some(self.left_out.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn says_the_first_at_once_and_then_how_many_there_were() {
        let seldom = Seldom::default();
        assert_eq!([seldom.take(), seldom.take(), seldom.take()], [Some(0), None, None]);
        tokio::time::advance(QUIET).await;
        assert_eq!([seldom.take(), seldom.take()], [Some(2), None]);
    }
}
