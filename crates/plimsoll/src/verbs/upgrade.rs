//! `plimsoll upgrade`: lets the binary, as its file is now, take over from the one that runs.

use std::path::Path;
use std::time::Duration;

use plimsoll_admin::Wish;

use crate::report::Failure;
use crate::verbs::ask;

/// Longer than any `fleet.startup_timeout`: the running process gives up first, and says why.
const PATIENCE: Duration = Duration::from_hours(2);

pub fn run(data_dir: &Path, json: bool) -> Result<(), Failure> {
    ask::order(data_dir, Wish::Upgrade, PATIENCE, json)
}
