//! The text format itself: comments, samples, escaping.

use std::fmt::{Display, Write};

use super::family::{Family, LABEL_CHARS_MAX, LATENCY_BOUNDS};
use crate::histogram::HistogramCounts;

/// One label: its name and its raw value.
pub(super) type Label<'a> = (&'a str, &'a str);

/// The text written so far.
#[derive(Default)]
pub(super) struct Text(String);

/// The samples of one family.
pub(super) struct Samples<'a> {
    text: &'a mut String,
    family: &'static Family,
}

impl Text {
    /// Starts a family; its samples follow at once.
    pub(super) fn family(&mut self, family: &'static Family) -> Samples<'_> {
        let Family { name, kind, help, .. } = family;
        append(&mut self.0, format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.as_str()));
        Samples { text: &mut self.0, family }
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

impl Samples<'_> {
    pub(super) fn sample(&mut self, labels: &[Label], value: impl Display) {
        self.line("", labels, value);
    }

    /// Cumulative buckets, sum and count.
    pub(super) fn histogram(&mut self, labels: &[Label], counts: &HistogramCounts) {
        for bound in LATENCY_BOUNDS {
            let bound_seconds = bound.as_secs_f64().to_string();
            self.line("_bucket", &[labels, &[("le", &bound_seconds)]].concat(), counts.count_at_most(bound));
        }
        let count = counts.count();
        self.line("_bucket", &[labels, &[("le", "+Inf")]].concat(), count);
        self.line("_sum", labels, counts.sum().as_secs_f64());
        self.line("_count", labels, count);
    }

    fn line(&mut self, suffix: &str, labels: &[Label], value: impl Display) {
        let names = labels.iter().map(|(name, _)| *name).filter(|name| *name != "le");
        debug_assert!(names.eq(self.family.labels.iter().copied()), "{} is listed with other labels", self.family.name);
        self.text.push_str(self.family.name);
        self.text.push_str(suffix);
        for (index, (name, value)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            append(self.text, format_args!("{name}=\""));
            self.value(value);
            self.text.push('"');
        }
        append(self.text, format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
    }

    /// A label value: the three characters that would end it early are escaped, the length is bounded.
    fn value(&mut self, raw: &str) {
        for character in raw.chars().take(LABEL_CHARS_MAX) {
            match character {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            }
        }
    }
}

fn append(text: &mut String, arguments: std::fmt::Arguments) {
    text.write_fmt(arguments).expect("writing to a string does not fail");
}
