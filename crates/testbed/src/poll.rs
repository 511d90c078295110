//! Waiting for something to become true, with a deadline instead of a guess.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const PAUSE: Duration = Duration::from_millis(10);

/// Asks until there is an answer, and returns it.
///
/// # Panics
/// After `deadline`, naming what was waited for.
pub async fn until<T>(deadline: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < deadline, "waited {deadline:?} in vain for: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The same where no runtime runs. `ask` ends the wait early with an error.
pub fn until_blocking<T>(deadline: Duration, what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if started.elapsed() >= deadline {
            bail!("waited {deadline:?} in vain for: {what}");
        }
        std::thread::park_timeout(PAUSE);
    }
}
