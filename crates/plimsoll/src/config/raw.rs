//! One value as it was written, whichever layer it came from, and what can be wrong with it.
//!
//! TOML has types; environment variables and flags are text. A shape reads both through this one view, so a setting has one parser.

use std::ops::Range;

use toml::de::DeValue;

/// Something wrong with one written value. The span counts bytes of the source the value stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub span: Range<usize>,
    pub message: String,
    pub hint: Option<String>,
}

/// A value, or every fault found in it.
pub type Read<T> = Result<T, Vec<Fault>>;

/// A written value and where it stands.
#[derive(Clone, Debug)]
pub struct Raw<'a> {
    node: Node<'a>,
    span: Range<usize>,
}

#[derive(Clone, Debug)]
enum Node<'a> {
    Text(&'a str),
    Toml(&'a DeValue<'a>),
}

impl<'a> Raw<'a> {
    /// The value of an environment variable or a flag; `start` is where it begins in its source.
    pub fn text(text: &'a str, start: usize) -> Self {
        Self { node: Node::Text(text), span: start..start + text.len() }
    }

    pub fn toml(value: &'a toml::Spanned<DeValue<'a>>) -> Self {
        Self { node: Node::Toml(value.get_ref()), span: value.span() }
    }

    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    pub fn fault(&self, message: impl Into<String>, hint: impl Into<String>) -> Vec<Fault> {
        vec![Fault { span: self.span(), message: message.into(), hint: Some(hint.into()) }]
    }

    /// A string, or the text of a variable or flag.
    pub fn as_str(&self) -> Option<&'a str> {
        match self.node {
            Node::Text(text) => Some(text),
            Node::Toml(value) => value.as_str(),
        }
    }

    pub fn string(&self, expected: &str) -> Read<&'a str> {
        self.as_str().ok_or_else(|| self.wrong_type(expected))
    }

    /// A number with or without a fraction as it was written; quoted numbers of a TOML file are not numbers.
    pub fn number(&self) -> Option<f64> {
        match self.node {
            Node::Text(text) => text.trim().parse().ok(),
            Node::Toml(DeValue::Float(float)) => float.as_str().parse().ok(),
            Node::Toml(DeValue::Integer(integer)) => integer.to_string().parse().ok(),
            Node::Toml(_) => None,
        }
    }

    /// A bare `true` or `false` of a file.
    pub fn boolean(&self) -> Option<bool> {
        match self.node {
            Node::Text(_) => None,
            Node::Toml(value) => value.as_bool(),
        }
    }

    pub fn integer(&self) -> Option<i128> {
        match self.node {
            Node::Text(text) => text.trim().parse().ok(),
            Node::Toml(value) => value.as_integer().and_then(|integer| i128::from_str_radix(integer.as_str(), integer.radix()).ok()),
        }
    }

    /// The elements of an array. In a variable or a flag they are separated by commas; nothing at all is the empty list.
    pub fn items(&self) -> Option<Vec<Raw<'a>>> {
        match self.node {
            Node::Text(text) if text.trim().is_empty() => Some(Vec::new()),
            Node::Text(text) => {
                let mut start = self.span.start;
                let item = |part: &'a str| {
                    let indent = part.len() - part.trim_start().len();
                    let item = Raw::text(part.trim(), start + indent);
                    start += part.len() + 1;
                    item
                };
                Some(text.split(',').map(item).collect())
            }
            Node::Toml(value) => value.as_array().map(|array| array.iter().map(Raw::toml).collect()),
        }
    }

    pub fn as_table(&self) -> Option<&'a toml::de::DeTable<'a>> {
        match self.node {
            Node::Text(_) => None,
            Node::Toml(value) => value.as_table(),
        }
    }

    pub fn wrong_type(&self, expected: &str) -> Vec<Fault> {
        let found = match self.node {
            Node::Text("") => "nothing".to_owned(),
            Node::Text(_) => "other text".to_owned(),
            Node::Toml(value) => format!("{} {}", article(value.type_str()), value.type_str()),
        };
        vec![Fault { span: self.span(), message: format!("expected {expected}, found {found}"), hint: None }]
    }
}

pub fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
