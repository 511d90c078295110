//! What every backend promises. Each claim uses keys of its own, so all of them can run against one store.

pub(crate) mod channels;
pub(crate) mod counters;
pub(crate) mod lists;
pub(crate) mod locks;
pub(crate) mod tokens;
pub(crate) mod values;

use std::time::Duration;

use plimsoll_state::State;

use crate::Pair;

/// For what should happen at once, on a machine that is busy with other things.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Stores count milliseconds, by a clock of their own.
pub(crate) const CLOCK_STEP: Duration = Duration::from_millis(2);

/// How many tasks compete in a race.
pub(crate) const TASKS: usize = 64;

/// Runs `task` many times at once, half of them on either handle, and returns all answers.
pub(crate) async fn race<T, Task>(pair: &Pair, task: impl Fn(State, usize) -> Task) -> Vec<T>
where
    T: Send + 'static,
    Task: Future<Output = T> + Send + 'static,
{
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..TASKS {
        let state = if number % 2 == 0 { &pair.here } else { &pair.there };
        tasks.spawn(task(state.clone(), number));
    }
    tasks.join_all().await
}
