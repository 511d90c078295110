//! `plimsoll gateway`

use crate::cli::GatewayArgs;
use crate::config::Settings;
use crate::report::Failure;

pub fn run(_args: &GatewayArgs, _settings: Settings) -> Result<(), Failure> {
    Err(Failure::failed(anyhow::anyhow!("not built yet")))
}
