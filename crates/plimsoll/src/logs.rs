//! Logging as the settings have it.

use std::io::{self, IsTerminal};

use plimsoll_telemetry::log::{self, Config, Format, Guard};

use crate::config::{Environment, LogFormat, Named, Settings};
use crate::report::Failure;

/// Whether somebody may be looking.
pub fn is_on_terminal() -> bool {
    io::stderr().is_terminal()
}

/// The format in force, with `auto` decided.
pub fn format(settings: &Settings) -> LogFormat {
    match settings.log.format {
        LogFormat::Auto if is_on_terminal() => LogFormat::Pretty,
        LogFormat::Auto => LogFormat::Json,
        format => format,
    }
}

pub fn start(settings: &Settings, environment: &Environment) -> Result<Guard, Failure> {
    let format = if format(settings) == LogFormat::Pretty { Format::Pretty } else { Format::Json };
    let no_color = environment.get("NO_COLOR").is_some_and(|value| !value.is_empty());
    Ok(log::init(&Config { format, level: settings.log.level.as_str(), no_color })?)
}
