//! Where settings are written: a file, an environment variable, a flag. Values remember the place, so that people can find it again.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Value, json};
use toml::de::DeValue;

use super::raw::Raw;

/// One text that settings were read from.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    pub kind: Kind,
    /// The path of the file, the name of the variable, the flag with its dashes.
    pub name: String,
    pub text: String,
    /// Parts of the text that must not be shown.
    pub secrets: Vec<Range<usize>>,
}

/// The layers, from the weakest to the strongest; a flag's own variable is stronger than `PLIMSOLL__…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    File,
    Environment,
    Flag,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        }
    }
}

impl Source {
    /// A variable or a flag as one line, and where its value begins.
    pub fn assignment(kind: Kind, name: &str, value: &str, secret: bool) -> (Arc<Self>, usize) {
        let separator = if kind == Kind::Flag { ' ' } else { '=' };
        let text = format!("{name}{separator}{value}");
        let start = name.len() + 1;
        let secrets = secret.then_some(start..text.len()).into_iter().collect();
        (Arc::new(Self { kind, name: name.to_owned(), text, secrets }), start)
    }

    /// Line and column, both from 1; columns count characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// A piece of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub source: Arc<Source>,
    pub span: Range<usize>,
}

impl Place {
    pub fn line(&self) -> usize {
        self.source.position(self.span.start).0
    }

    /// The element at this position of the list that stands here; the list itself, if there is no such element.
    pub fn item(&self, position: usize) -> Self {
        let text = self.source.text.get(self.span.clone()).unwrap_or_default();
        let within = match self.source.kind {
            Kind::File => DeValue::parse(text).ok().and_then(|list| Some(list.get_ref().as_array()?.get(position)?.span())),
            Kind::Environment | Kind::Flag => Raw::text(text, 0).items().and_then(|items| Some(items.get(position)?.span())),
        };
        let span = within.map_or(self.span.clone(), |within| self.span.start + within.start..self.span.start + within.end);
        Self { source: Arc::clone(&self.source), span }
    }

    pub fn to_json(&self) -> Value {
        let mut json = json!({ "kind": self.source.kind.as_str(), "name": self.source.name });
        if self.source.kind == Kind::File {
            let (line, column) = self.source.position(self.span.start);
            json["line"] = json!(line);
            json["column"] = json!(column);
        }
        json
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source.kind {
            Kind::File => write!(formatter, "{}:{}", self.source.name, self.line()),
            Kind::Environment | Kind::Flag => formatter.write_str(&self.source.name),
        }
    }
}
