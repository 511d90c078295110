//! `plimsoll serve`

use crate::config::Settings;
use crate::report::Failure;

pub fn run(_settings: Settings) -> Result<(), Failure> {
    Err(Failure::failed(anyhow::anyhow!("not built yet")))
}
