//! `plimsoll reload`: puts a changed file in force.

use std::path::Path;
use std::time::Duration;

use plimsoll_admin::Wish;

use crate::report::Failure;
use crate::verbs::ask;

/// Files are read and checked in no time; an upgrade that is under way comes first.
const PATIENCE: Duration = Duration::from_mins(2);

pub fn run(data_dir: &Path, json: bool) -> Result<(), Failure> {
    ask::order(data_dir, Wish::Reload, PATIENCE, json)
}
