//! Log lines for people: time of day, level, message, then the fields as `name=value`.

use std::fmt::{self, Debug, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

const DIM: &str = "\u{1b}[2m";
const RESET: &str = "\u{1b}[0m";

pub(super) struct Pretty;

impl<S, N> FormatEvent<S, N> for Pretty
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (dim, colour, reset) = if writer.has_ansi_escapes() { (DIM, colour(*event.metadata().level()), RESET) } else { ("", "", "") };
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        write!(writer, "{dim}{}{reset} ", TimeOfDay(time.as_millis() as u64))?;
        write!(writer, "{colour}{:<5}{reset} ", event.metadata().level().as_str())?;
        let mut line = Line { message: String::new(), fields: String::new(), dim, reset };
        event.record(&mut line);
        writeln!(writer, "{}{}", line.message.trim_end(), line.fields)
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[1;31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG => "\u{1b}[34m",
        Level::TRACE => "\u{1b}[35m",
    }
}

/// Milliseconds since 1970, shown as the time of day in UTC.
pub(super) struct TimeOfDay(pub(super) u64);

impl fmt::Display for TimeOfDay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0 % 86_400_000;
        write!(formatter, "{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000)
    }
}

struct Line {
    message: String,
    fields: String,
    dim: &'static str,
    reset: &'static str,
}

impl Line {
    fn field(&mut self, name: &str, value: fmt::Arguments) {
        write!(self.fields, " {}{name}={}{value}", self.dim, self.reset).expect("writing to a string does not fail");
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            write!(Printable(&mut self.message), "{value:?}").expect("writing to a string does not fail");
        } else {
            let mut printable = String::new();
            write!(Printable(&mut printable), "{value:?}").expect("writing to a string does not fail");
            self.field(field.name(), format_args!("{printable}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let plain =
            !value.is_empty() && value.chars().all(|character| !character.is_whitespace() && !character.is_control() && character != '"');
        if field.name() == "message" {
            self.record_debug(field, &format_args!("{value}"));
        } else if plain {
            self.field(field.name(), format_args!("{value}"));
        } else {
            self.field(field.name(), format_args!("{value:?}"));
        }
    }
}

/// Passes text on with control characters made visible: what clients and instances say must not drive the operator's terminal.
/// Line breaks stay, indented, so that no second line can pass for a log line of its own.
struct Printable<'a>(&'a mut String);

impl Write for Printable<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '\n' => self.0.push_str("\n    "),
                '\t' => self.0.push('\t'),
                control if control.is_control() => self.0.extend(control.escape_default()),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_day_wraps_at_midnight() {
        assert_eq!(TimeOfDay(86_399_999).to_string(), "23:59:59.999");
        assert_eq!(TimeOfDay(86_400_000 + 3_661_007).to_string(), "01:01:01.007");
    }
}
