//! How log lines look and where they go: to standard error, as short lines for people or one JSON object per line for machines.
//!
//! Field names are those of the access event everywhere: `request.id http.method http.route http.status client.ip policy.refused_by
//! upstream.instance upstream.attempts duration_ms queue_ms bytes_in bytes_out`, `instance.id process.pid`. Levels: error, a person must
//! act; warn, degraded but carried on; info, life-cycle; debug, diagnosis.
//!
//! Writing never holds up a request. A line goes into a queue of bounded length that one thread writes out; when whoever reads standard
//! error is too slow, lines are dropped and counted, and the count is logged as soon as there is room again (see `queue`).

mod pretty;
mod queue;

use std::io::{self, IsTerminal};

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

pub use queue::Guard;

/// What to log, and how.
#[derive(Clone, Debug)]
pub struct Config<'a> {
    pub format: Format,
    /// A level, or a list of them by module: `info`, `warn,plimsoll_gateway=debug`.
    pub level: &'a str,
    /// True when `NO_COLOR` is set; without a terminal there is no colour anyway.
    pub no_color: bool,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people: time of day (UTC), level, message, fields.
    #[default]
    Pretty,
    /// For machines: one object per line, `timestamp` in RFC 3339.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("log level `{level}` cannot be read: use error, warn, info, debug, trace, or a list such as `warn,plimsoll_gateway=debug`")]
    Level { level: String },
    #[error("the log writer could not be started")]
    Thread(#[source] io::Error),
    #[error("logging is already set up")]
    Twice,
}

/// Sets up logging for the whole process. Keep the guard until the very end: dropping it writes out what is still queued.
pub fn init(config: &Config) -> Result<Guard, Error> {
    let filter = filter(config.level)?;
    let ansi = !config.no_color && io::stderr().is_terminal();
    let (lines, guard) = queue::start(io::stderr(), config.format).map_err(Error::Thread)?;
    let set = match config.format {
        Format::Pretty => tracing::subscriber::set_global_default(pretty(filter, ansi).with_writer(lines).finish()),
        Format::Json => tracing::subscriber::set_global_default(json(filter).with_writer(lines).finish()),
    };
    set.map_err(|_| Error::Twice)?;
    Ok(guard)
}

/// A misspelt level such as `inof` would be read as the name of a module and silence everything, so bare words must be levels.
fn filter(level: &str) -> Result<EnvFilter, Error> {
    let mut bare = level.split(',').map(str::trim).filter(|directive| !directive.contains(['=', '[']));
    let known = bare.all(|word| !word.is_empty() && word.parse::<LevelFilter>().is_ok());
    let filter = if known { EnvFilter::try_new(level).ok() } else { None };
    filter.ok_or_else(|| Error::Level { level: level.to_owned() })
}

fn pretty(filter: EnvFilter, ansi: bool) -> SubscriberBuilder<tracing_subscriber::fmt::format::DefaultFields, pretty::Pretty, EnvFilter> {
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).event_format(pretty::Pretty)
}

type JsonFields = tracing_subscriber::fmt::format::JsonFields;
type JsonFormat = tracing_subscriber::fmt::format::Format<tracing_subscriber::fmt::format::Json>;

fn json(filter: EnvFilter) -> SubscriberBuilder<JsonFields, JsonFormat, EnvFilter> {
    tracing_subscriber::fmt().with_env_filter(filter).json().flatten_event(true).with_span_list(false)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Collects what was written.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, level: &str, ansi: bool, events: fn()) -> String {
        let page = Page::default();
        let (lines, guard) = queue::start(page.clone(), format).unwrap();
        let filter = filter(level).unwrap();
        match format {
            Format::Pretty => tracing::subscriber::with_default(pretty(filter, ansi).with_writer(lines).finish(), events),
            Format::Json => tracing::subscriber::with_default(json(filter).with_writer(lines).finish(), events),
        }
        drop(guard);
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn instance_died() {
        tracing::warn!(instance.id = "api-1", process.pid = 42, cause = "killed by signal 9", "instance died");
        tracing::debug!("not at this level");
    }

    #[test]
    fn json_is_one_object_per_line_with_rfc_3339_time() {
        let text = logged(Format::Json, "info", false, instance_died);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "instance died");
        assert_eq!(line["instance.id"], "api-1");
        assert_eq!(line["process.pid"], 42);
        let timestamp = line["timestamp"].as_str().unwrap();
        let shape: String = timestamp.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000000Z");
    }

    #[test]
    fn pretty_is_a_short_line_without_target() {
        let text = logged(Format::Pretty, "info", false, instance_died);
        let (time, rest) = text.split_once(' ').unwrap();
        assert_eq!(time.len(), "12:34:56.789".len());
        assert_eq!(rest, "WARN  instance died instance.id=api-1 process.pid=42 cause=\"killed by signal 9\"\n");
    }

    #[test]
    fn pretty_has_colour_only_when_asked() {
        assert!(!logged(Format::Pretty, "info", false, instance_died).contains('\u{1b}'));
        assert!(logged(Format::Pretty, "info", true, instance_died).contains("\u{1b}[33mWARN"));
    }

    #[test]
    fn text_from_outside_cannot_drive_the_terminal_or_forge_a_line() {
        let text = logged(Format::Pretty, "info", false, || {
            tracing::info!(path = "/\u{1b}[2J\n12:00:00 ERROR fake", "first\nsecond\u{7}");
        });
        assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("    ")), "{text:?}");
    }

    #[test]
    fn it_is_set_up_once_per_process() {
        let config = Config { format: Format::Pretty, level: "info", no_color: true };
        let guard = init(&config).unwrap();
        assert!(matches!(init(&config), Err(Error::Twice)));
        assert_eq!(guard.dropped_total(), 0);
    }

    #[test]
    fn a_level_that_does_not_exist_is_an_error() {
        for level in ["inof", "info,wran", "plimsoll=loud", ""] {
            assert!(filter(level).is_err(), "`{level}` was accepted");
        }
        for level in ["info", "warn,plimsoll_gateway=debug", "off"] {
            assert!(filter(level).is_ok(), "`{level}` was refused");
        }
    }
}
