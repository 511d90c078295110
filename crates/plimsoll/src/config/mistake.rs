//! One thing wrong with the configuration, and how it is shown: message, place, the line itself with a caret, a hint.
//!
//! Our own forty lines rather than a diagnostics crate, because a line with a secret in it must be shown without the secret.

use std::fmt::{self, Write};
use std::ops::Range;

use serde_json::{Value, json};

use super::source::{Kind, Place, Source};

/// Longer source lines are cut around the caret.
const SHOWN_MAX: usize = 120;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing starts.
    Error,
    /// It starts, and does something nobody is likely to want.
    Warning,
}

impl Severity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Something wrong, where it is, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub severity: Severity,
    pub message: String,
    /// Absent when no text is to blame, such as a file that is missing.
    pub place: Option<Place>,
    pub hint: Option<String>,
}

impl Mistake {
    pub fn error(message: impl Into<String>, place: Option<Place>, hint: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), place, hint: Some(hint.into()) }
    }

    pub fn warning(message: impl Into<String>, place: Option<Place>, hint: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message, place, hint) }
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Files before variables before flags, each from top to bottom.
    pub fn order(&self) -> impl Ord + use<> {
        self.place.as_ref().map(|place| (place.source.kind, place.source.name.clone(), place.span.start))
    }

    pub fn to_json(&self) -> Value {
        json!({
            "severity": self.severity.as_str(),
            "message": self.message,
            "hint": self.hint,
            "place": self.place.as_ref().map(Place::to_json),
        })
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}: {}", self.severity.as_str(), self.message)?;
        let mut margin = String::new();
        if let Some(place) = &self.place {
            let excerpt = Excerpt::of(place);
            margin = " ".repeat(excerpt.label.len());
            writeln!(formatter, "{margin}--> {}", excerpt.title)?;
            writeln!(formatter, "{margin} |")?;
            writeln!(formatter, "{} | {}", excerpt.label, excerpt.line)?;
            writeln!(formatter, "{margin} | {}{}", " ".repeat(excerpt.indent), "^".repeat(excerpt.width))?;
        }
        match &self.hint {
            Some(hint) => writeln!(formatter, "{margin} = hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The line of a source that a mistake is on, and where in it the caret goes. All lengths count characters.
struct Excerpt {
    title: String,
    label: String,
    line: String,
    indent: usize,
    width: usize,
}

impl Excerpt {
    fn of(place: &Place) -> Self {
        let source = &place.source;
        let start = source.text.floor_char_boundary(place.span.start);
        let line_start = source.text[..start].rfind('\n').map_or(0, |end| end + 1);
        let line_end = source.text[start..].find('\n').map_or(source.text.len(), |length| start + length);
        let (row, column) = source.position(start);
        let (title, label) = match source.kind {
            Kind::File => (format!("{}:{row}:{column}", source.name), row.to_string()),
            Kind::Environment => ("environment".to_owned(), " ".to_owned()),
            Kind::Flag => ("command line".to_owned(), " ".to_owned()),
        };
        let end = source.text.floor_char_boundary(place.span.end.clamp(start, line_end));
        let marked = source.text[start..end].trim_end().chars().count().max(1);
        let (line, indent) = window(&masked(source, line_start..line_end), column - 1);
        let width = marked.min(line.chars().count().saturating_sub(indent).max(1));
        Self { title, label, line, indent, width }
    }
}

/// The text of one line, every secret character replaced, without characters that would move the cursor.
fn masked(source: &Source, line: Range<usize>) -> String {
    let shown = |(offset, character): (usize, char)| {
        if source.secrets.iter().any(|secret| secret.contains(&(line.start + offset))) {
            '*'
        } else if character.is_control() {
            ' '
        } else {
            character
        }
    };
    source.text[line.clone()].trim_end().char_indices().map(shown).collect()
}

/// At most [`SHOWN_MAX`] characters of a line that hold the caret, and the caret's place among them.
fn window(line: &str, caret: usize) -> (String, usize) {
    let length = line.chars().count();
    if length <= SHOWN_MAX {
        return (line.to_owned(), caret);
    }
    let skip = caret.saturating_sub(SHOWN_MAX / 2).min(length - SHOWN_MAX);
    let mut shown = String::with_capacity(line.len().min(4 * SHOWN_MAX));
    let before = if skip > 0 { "…" } else { "" };
    let after = if skip + SHOWN_MAX < length { "…" } else { "" };
    let middle: String = line.chars().skip(skip).take(SHOWN_MAX).collect();
    write!(shown, "{before}{middle}{after}").expect("writing to a string cannot fail");
    (shown, caret - skip + before.chars().count())
}
