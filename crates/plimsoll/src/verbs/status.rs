//! `plimsoll status`

use crate::cli::StatusArgs;
use crate::config::Settings;
use crate::report::Failure;

pub fn run(_args: &StatusArgs, _settings: Settings) -> Result<(), Failure> {
    Err(Failure::failed(anyhow::anyhow!("not built yet")))
}
