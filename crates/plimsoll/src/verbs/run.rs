//! `plimsoll run`

use crate::cli::RunArgs;
use crate::config::Settings;
use crate::report::Failure;

pub fn run(_args: &RunArgs, _settings: Settings) -> Result<(), Failure> {
    Err(Failure::failed(anyhow::anyhow!("not built yet")))
}
