//! Names, paths and what tells senders apart.

use std::path::PathBuf;

use super::{Shape, quote};
use crate::config::raw::{Raw, Read};

/// Anything that is not too long.
pub struct Text {
    pub length_max: usize,
}

impl Shape for Text {
    type Value = String;

    fn read(&self, raw: &Raw<'_>) -> Read<String> {
        let text = raw.string("a string")?;
        if text.len() > self.length_max {
            return Err(raw.fault(format!("{} bytes are too many", text.len()), format!("write {}", self.accepts())));
        }
        Ok(text.to_owned())
    }

    fn print(&self, value: &String) -> String {
        quote(value)
    }

    fn accepts(&self) -> String {
        format!("a string of up to {} bytes", self.length_max)
    }
}

/// A directory that is made if it is missing.
pub struct Directory;

impl Shape for Directory {
    type Value = PathBuf;

    fn read(&self, raw: &Raw<'_>) -> Read<PathBuf> {
        let text = raw.string("a path")?;
        if text.is_empty() || text.contains('\0') {
            return Err(raw.fault("this is not a path", "write a directory such as \".plimsoll\""));
        }
        Ok(PathBuf::from(text))
    }

    fn print(&self, value: &PathBuf) -> String {
        quote(&value.to_string_lossy())
    }

    fn accepts(&self) -> String {
        "a path".to_owned()
    }
}

/// A file that is there.
pub struct File;

impl Shape for File {
    type Value = PathBuf;

    fn read(&self, raw: &Raw<'_>) -> Read<PathBuf> {
        let text = raw.string("a path")?;
        if text.is_empty() || text.contains('\0') || text.ends_with('/') {
            return Err(raw.fault("this is not the path of a file", "write a file such as \"sorry.html\""));
        }
        Ok(PathBuf::from(text))
    }

    fn print(&self, value: &PathBuf) -> String {
        quote(&value.to_string_lossy())
    }

    fn accepts(&self) -> String {
        "a path".to_owned()
    }
}

/// The path of a URL.
pub struct UrlPath {
    pub may_be_empty: bool,
}

impl Shape for UrlPath {
    type Value = String;

    fn read(&self, raw: &Raw<'_>) -> Read<String> {
        let text = raw.string("a path")?;
        if text.is_empty() && self.may_be_empty {
            return Ok(String::new());
        }
        if !text.starts_with('/') {
            return Err(raw.fault(format!("`{text}` does not begin with a slash"), format!("write \"/{text}\"")));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(
                raw.fault(format!("`{text}` cannot stand in a request line"), "percent-encode everything that is not visible ASCII")
            );
        }
        Ok(text.to_owned())
    }

    fn print(&self, value: &String) -> String {
        quote(value)
    }

    fn accepts(&self) -> String {
        let empty = if self.may_be_empty { ", or nothing" } else { "" };
        format!("a path such as \"/health\"{empty}")
    }
}

/// A name that may stand in logs, labels and file names.
pub struct Name;

const NAME_LENGTH_MAX: usize = 64;

impl Shape for Name {
    type Value = String;

    fn read(&self, raw: &Raw<'_>) -> Read<String> {
        let text = raw.string("a name")?;
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if (1..=NAME_LENGTH_MAX).contains(&text.len()) && text.bytes().all(valid) {
            return Ok(text.to_owned());
        }
        Err(raw.fault("this is not a name", format!("write {}", self.accepts())))
    }

    fn print(&self, value: &String) -> String {
        quote(value)
    }

    fn accepts(&self) -> String {
        format!("1 to {NAME_LENGTH_MAX} letters, digits, `-`, `_` or `.`")
    }
}

/// What tells the senders of requests apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashOn {
    ClientIp,
    Header(http::HeaderName),
    Cookie(String),
}

/// `client_ip`, `header:NAME` or `cookie:NAME`.
pub struct HashKey;

impl Shape for HashKey {
    type Value = HashOn;

    fn read(&self, raw: &Raw<'_>) -> Read<HashOn> {
        let text = raw.string("a string")?;
        if text == "client_ip" {
            return Ok(HashOn::ClientIp);
        }
        let invalid = |what: &str| raw.fault(format!("`{text}` does not name {what}"), format!("write {}", self.accepts()));
        match text.split_once(':') {
            Some(("header", name)) => name.parse().map(HashOn::Header).map_err(|_| invalid("a header")),
            // A cookie's name is a token, as a header's is.
            Some(("cookie", name)) if name.parse::<http::HeaderName>().is_ok() => Ok(HashOn::Cookie(name.to_owned())),
            Some(("cookie", _)) => Err(invalid("a cookie")),
            _ => Err(invalid("whom requests come from")),
        }
    }

    fn print(&self, value: &HashOn) -> String {
        quote(&match value {
            HashOn::ClientIp => "client_ip".to_owned(),
            HashOn::Header(name) => format!("header:{name}"),
            HashOn::Cookie(name) => format!("cookie:{name}"),
        })
    }

    fn accepts(&self) -> String {
        "\"client_ip\", \"header:NAME\" or \"cookie:NAME\"".to_owned()
    }
}
