//! What routes look at and change: paths, hosts, methods, header fields, query parameters.

use http::{HeaderName, HeaderValue, Method};
use plimsoll_gateway::action::edits;
use plimsoll_gateway::route::{Pattern, Requirement};

use super::{HostName, Shape, UrlPath, quote};
use crate::config::raw::{Fault, Raw, Read};

/// An error of the gateway says what is wrong and, after a colon, what to write.
pub fn halves(error: &impl ToString) -> (String, String) {
    let text = error.to_string();
    text.split_once(": ").map_or_else(|| (text.clone(), String::new()), |(problem, hint)| (problem.to_owned(), hint.to_owned()))
}

fn fault_of(raw: &Raw<'_>, error: &impl ToString) -> Vec<Fault> {
    let (problem, hint) = halves(error);
    raw.fault(problem, hint)
}

/// The paths that a route takes.
pub struct PathPattern;

impl Shape for PathPattern {
    type Value = Pattern;

    fn read(&self, raw: &Raw<'_>) -> Read<Pattern> {
        if raw.as_str() == Some("*") {
            return Err(raw.fault("a path begins with a slash", "write \"/*\" for every path"));
        }
        let text = UrlPath { may_be_empty: false }.read(raw)?;
        if text.contains('?') {
            return Err(raw.fault("a path has no query", "leave out the `?` and what follows; `query` asks for parameters"));
        }
        if let Some(path) = text.strip_suffix('*').filter(|path| !path.ends_with('/') && !path.contains('*')) {
            return Err(raw.fault("a `*` stands for whole segments", format!("write \"{path}/*\"")));
        }
        Pattern::parse(&text).map_err(|error| fault_of(raw, &error))
    }

    fn print(&self, value: &Pattern) -> String {
        quote(value.as_str())
    }

    fn accepts(&self) -> String {
        "a path such as \"/health\", \"/api/*\", \"/users/{id}/orders\" or \"/files/{rest...}\"".to_owned()
    }
}

/// The hosts that a route takes.
pub struct HostPattern;

impl Shape for HostPattern {
    type Value = String;

    fn read(&self, raw: &Raw<'_>) -> Read<String> {
        let below = raw.as_str().and_then(|text| text.trim().strip_prefix("*."));
        let Some(name) = below else { return HostName.read(raw) };
        let span = raw.span();
        let name = HostName
            .read(&Raw::text(name, 0))
            .map_err(|faults| faults.into_iter().map(|fault| Fault { span: span.clone(), ..fault }).collect::<Vec<_>>())?;
        if name.starts_with('[') {
            return Err(raw.fault("nothing is below an address", "leave out the `*.`"));
        }
        Ok(format!("*.{name}"))
    }

    fn print(&self, value: &String) -> String {
        quote(value)
    }

    fn accepts(&self) -> String {
        "a host name such as \"api.example.com\", or \"*.example.com\" for everything below one".to_owned()
    }
}

/// A method that may be forwarded.
pub struct MethodName;

impl Shape for MethodName {
    type Value = Method;

    fn read(&self, raw: &Raw<'_>) -> Read<Method> {
        let text = raw.string("a method such as \"GET\"")?;
        let upper = text.trim().to_ascii_uppercase();
        match Method::from_bytes(text.as_bytes()) {
            Ok(Method::CONNECT | Method::TRACE) => Err(raw.fault(format!("{text} is never forwarded"), "leave it out")),
            Ok(method) if text == upper => Ok(method),
            Ok(_) => {
                Err(raw.fault(format!("`{text}` is not the method `{upper}`: methods are case-sensitive"), format!("write \"{upper}\"")))
            }
            Err(_) => Err(raw.fault(format!("`{text}` is not a method"), "write one such as \"GET\"")),
        }
    }

    fn print(&self, value: &Method) -> String {
        quote(value.as_str())
    }

    fn accepts(&self) -> String {
        "a method such as \"GET\"".to_owned()
    }
}

/// A header field that must be there, perhaps with a value: `"X-Beta"` or `"X-Version: 2"`.
pub struct HeaderIs;

impl Shape for HeaderIs {
    type Value = Requirement;

    fn read(&self, raw: &Raw<'_>) -> Read<Requirement> {
        let text = raw.string("a string such as \"X-Version: 2\"")?;
        let (name, value) = text.split_once(':').map_or((text, None), |(name, value)| (name, Some(value.trim())));
        if name.trim().eq_ignore_ascii_case("host") {
            return Err(raw.fault("the host has a key of its own", "write host = \"api.example.com\""));
        }
        if name.parse::<HeaderName>().is_err() || value.is_some_and(|value| HeaderValue::from_str(value).is_err()) {
            return Err(raw.fault(format!("`{text}` is not a header field"), format!("write {}", self.accepts())));
        }
        Ok(Requirement { name: name.to_owned(), value: value.map(str::to_owned) })
    }

    fn print(&self, value: &Requirement) -> String {
        quote(&joined(value, ": "))
    }

    fn accepts(&self) -> String {
        "\"NAME\" or \"NAME: VALUE\"".to_owned()
    }
}

/// A query parameter that must be there, perhaps with a value: `"debug"` or `"version=2"`.
pub struct ParameterIs;

impl Shape for ParameterIs {
    type Value = Requirement;

    fn read(&self, raw: &Raw<'_>) -> Read<Requirement> {
        let text = raw.string("a string such as \"version=2\"")?;
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        if name.is_empty() || text.contains(['&', '?', '#']) {
            return Err(
                raw.fault(format!("`{text}` is not a parameter"), format!("write {}, as it reads when it is decoded", self.accepts()))
            );
        }
        Ok(Requirement { name: name.to_owned(), value: value.map(str::to_owned) })
    }

    fn print(&self, value: &Requirement) -> String {
        quote(&joined(value, "="))
    }

    fn accepts(&self) -> String {
        "\"NAME\" or \"NAME=VALUE\"".to_owned()
    }
}

fn joined(requirement: &Requirement, separator: &str) -> String {
    let value = requirement.value.as_ref().map(|value| format!("{separator}{value}"));
    format!("{}{}", requirement.name, value.unwrap_or_default())
}

/// The name of a header field that a route may change.
pub struct FieldName;

impl Shape for FieldName {
    type Value = HeaderName;

    fn read(&self, raw: &Raw<'_>) -> Read<HeaderName> {
        let text = raw.string("a header's name")?;
        let name: HeaderName =
            text.parse().map_err(|_| raw.fault(format!("`{text}` is not the name of a header"), "write one such as \"X-Env\""))?;
        if name == http::header::HOST {
            return Err(raw.fault("the host that upstreams get has a key of its own", "write set_host = \"app.internal\""));
        }
        edits::check(&name).map_err(|error| fault_of(raw, &error))?;
        Ok(name)
    }

    fn print(&self, value: &HeaderName) -> String {
        quote(value.as_str())
    }

    fn accepts(&self) -> String {
        "a header's name".to_owned()
    }
}

/// The value of a header field.
pub struct FieldValue;

impl Shape for FieldValue {
    type Value = HeaderValue;

    fn read(&self, raw: &Raw<'_>) -> Read<HeaderValue> {
        let text = raw.string("a string")?;
        let value = HeaderValue::from_str(text).ok().filter(|_| !text.trim().is_empty());
        value.ok_or_else(|| raw.fault("a header's value is one line of visible ASCII", "write one such as \"public, max-age=60\""))
    }

    fn print(&self, value: &HeaderValue) -> String {
        quote(&String::from_utf8_lossy(value.as_bytes()))
    }

    fn accepts(&self) -> String {
        "a string of one line".to_owned()
    }
}

/// Header fields with their values: `{ X-Env = "prod" }`.
pub struct Fields;

impl Shape for Fields {
    type Value = Vec<(HeaderName, HeaderValue)>;

    fn read(&self, raw: &Raw<'_>) -> Read<Self::Value> {
        let Some(table) = raw.as_table() else {
            return Err(raw.fault("expected a table", format!("write {}", self.accepts())));
        };
        let mut fields = Vec::new();
        let mut faults = Vec::new();
        for (key, value) in table {
            let name = FieldName.read(&Raw::text(key.get_ref(), key.span().start));
            let value = Raw::toml(value);
            let text = value.string("a string").and_then(|text| {
                HeaderValue::from_str(text)
                    .map_err(|_| value.fault("a header's value is one line of visible ASCII", "write it without control characters"))
            });
            match (name, text) {
                (Ok(name), Ok(value)) => fields.push((name, value)),
                (name, text) => {
                    faults.extend(name.err().into_iter().flatten().map(|fault| Fault { span: key.span(), ..fault }));
                    faults.extend(text.err().into_iter().flatten());
                }
            }
        }
        fields.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        if faults.is_empty() { Ok(fields) } else { Err(faults) }
    }

    fn print(&self, value: &Self::Value) -> String {
        let field = |(name, value): &(HeaderName, HeaderValue)| format!("{name} = {}", quote(&String::from_utf8_lossy(value.as_bytes())));
        format!("{{ {} }}", value.iter().map(field).collect::<Vec<_>>().join(", "))
    }

    fn accepts(&self) -> String {
        "a table such as { X-Env = \"prod\" }".to_owned()
    }
}
