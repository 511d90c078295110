//! What is not even TOML.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::config::environment::fields;
use crate::config::mistake::{Mistake, Severity};
use crate::config::source::{Place, Source};

/// The parser's errors, the first of each line: the others follow from it.
pub(super) fn mistakes(errors: &[toml::de::Error], source: &Arc<Source>) -> Vec<Mistake> {
    let mut lines = BTreeSet::new();
    let mut first_of_line = |mistake: &Mistake| mistake.place.as_ref().is_none_or(|place| lines.insert(place.line()));
    errors.iter().map(|error| mistake(error, source)).filter(|mistake| first_of_line(mistake)).collect()
}

fn mistake(error: &toml::de::Error, source: &Arc<Source>) -> Mistake {
    let place = Place { source: Arc::clone(source), span: error.span().unwrap_or(0..0) };
    let line = source.text.lines().nth(place.line() - 1).unwrap_or_default();
    let hint = advice(error.message(), line);
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    Mistake { severity: Severity::Error, message: format!("this is not TOML: {message}"), place: Some(place), hint }
}

/// What the parser's words do not say.
fn advice(message: &str, line: &str) -> Option<String> {
    if message.starts_with("duplicate key") {
        return Some("a key stands once in its table: remove one of them".to_owned());
    }
    if let Some(header) = unclosed(line) {
        return Some(format!("write {header}"));
    }
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim(), value.split('#').next().unwrap_or_default().trim());
    if value.is_empty() {
        return Some(format!("write a value after `{key} =`, or remove the line"));
    }
    let is_secret = fields().any(|field| field.secret && field.name() == key);
    let bare = !value.starts_with(['"', '\'', '[', '{']) && !is_secret;
    bare.then(|| format!("text stands in quotes: {key} = {}", toml::Value::from(value)))
}

/// The header of a table whose brackets do not match, as it was meant.
fn unclosed(line: &str) -> Option<String> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let opened = line.bytes().take_while(|byte| *byte == b'[').count();
    let closed = line.bytes().rev().take_while(|byte| *byte == b']').count();
    let name = line.get(opened..line.len() - closed)?.trim();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let is_entry = ["route", "upstream"].contains(&name);
    (opened > 0 && opened != closed && is_name).then(|| if is_entry { format!("[[{name}]]") } else { format!("[{name}]") })
}

/// In a file that does not parse, what stands behind `token =` and the like is taken for a secret wherever it is.
pub(super) fn lines_of_secrets(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let names_secret = |(offset, _): &(usize, &str)| {
            let key = line[..*offset].trim_end();
            fields().any(|field| field.secret && key.ends_with(field.name()))
        };
        if let Some((offset, _)) = line.match_indices('=').find(names_secret) {
            spans.push(start + offset + 1..start + line.len());
        }
        start += line.len();
    }
    spans
}
