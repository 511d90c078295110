//! `plimsoll up`

use crate::cli::UpArgs;
use crate::config::Settings;
use crate::report::Failure;

pub fn run(_args: &UpArgs, _settings: Settings) -> Result<(), Failure> {
    Err(Failure::failed(anyhow::anyhow!("not built yet")))
}
