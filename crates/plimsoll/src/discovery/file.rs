//! Reads a file of servers, in one of three forms that its name tells apart.
//!
//! | name ends in | holds |
//! |---|---|
//! | `.toml` | `servers = [...]`, as in `[[upstream]]` |
//! | `.json` | the same: `{"servers": [...]}`, or the array alone |
//! | anything else | a server a line: `http://10.0.0.1:9000 weight=2`; `#` begins a comment |

use std::fmt;
use std::path::Path;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::{Server, ServerAddress};

/// A larger file is a mistake.
pub const BYTES_MAX: u64 = 1024 * 1024;

/// What is wrong with a file of servers.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1, where it is known.
    pub line: Option<usize>,
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "line {line}: {}", self.message),
            None => formatter.write_str(&self.message),
        }
    }
}

/// Reads the file itself too. Blocks for as long as that takes.
pub fn load(path: &Path) -> Result<Vec<Server>, Fault> {
    let failed = |error: &dyn fmt::Display| Fault { line: None, message: error.to_string() };
    let about = path.metadata().map_err(|error| failed(&error))?;
    // Looked at before it is opened: opening a pipe would wait for somebody to write.
    if !about.is_file() {
        return Err(failed(&"it is not a file"));
    }
    if about.len() > BYTES_MAX {
        return Err(failed(&format_args!("it has {} bytes, and at most {BYTES_MAX} are read", about.len())));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    parse(path, &text)
}

/// At least one server: an empty file is more often half written than meant.
pub fn parse(path: &Path, text: &str) -> Result<Vec<Server>, Fault> {
    let servers = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => parse_toml(text)?,
        Some("json") => parse_json(text)?,
        _ => parse_lines(text)?,
    };
    if servers.is_empty() {
        return Err(Fault { line: None, message: "it names no server".to_owned() });
    }
    Ok(servers.into_iter().map(|Listed(server)| server).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    servers: Vec<Listed>,
}

fn parse_toml(text: &str) -> Result<Vec<Listed>, Fault> {
    let document: Document = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        Fault { line, message: error.message().to_owned() }
    })?;
    Ok(document.servers)
}

fn parse_json(text: &str) -> Result<Vec<Listed>, Fault> {
    let read = if text.trim_start().starts_with('[') {
        serde_json::from_str(text)
    } else {
        serde_json::from_str(text).map(|document: Document| document.servers)
    };
    read.map_err(|error| {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        Fault { line: Some(error.line()).filter(|line| *line > 0), message }
    })
}

fn parse_lines(text: &str) -> Result<Vec<Listed>, Fault> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.split('#').next().unwrap_or_default().trim()));
    let servers = lines.filter(|(_, line)| !line.is_empty());
    servers.map(|(line, text)| parse_line(text).map_err(|message| Fault { line: Some(line), message })).collect()
}

fn parse_line(text: &str) -> Result<Listed, String> {
    let mut words = text.split_whitespace();
    let (mut weight, mut priority) = (None, None);
    let url = words.next().unwrap_or_default();
    for word in words {
        let number = |text: &str| text.parse::<u32>().map_err(|_| format!("`{text}` in `{word}` is not a number"));
        match word.split_once('=') {
            Some(("weight", text)) => weight = Some(number(text)?),
            Some(("priority", text)) => priority = Some(number(text)?),
            _ => return Err(format!("`{word}` is not known here: write URL, URL weight=2 or URL priority=1")),
        }
    }
    Full { url: url.to_owned(), weight, priority }.check()
}

/// A server as it is written: a URL, or a table with one.
struct Listed(Server);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Full {
    url: String,
    weight: Option<u32>,
    priority: Option<u32>,
}

impl Full {
    fn check(self) -> Result<Listed, String> {
        let address = ServerAddress::parse(&self.url).map_err(|(problem, hint)| format!("{problem}: {hint}"))?;
        let weight = self.weight.unwrap_or(1);
        if !Server::WEIGHTS.contains(&weight) {
            return Err(format!("a weight is from {} to {}, not {weight}", Server::WEIGHTS.start(), Server::WEIGHTS.end()));
        }
        let priority = self.priority.unwrap_or(0);
        let priority = u16::try_from(priority).map_err(|_| format!("a priority is from 0 to {}, not {priority}", u16::MAX))?;
        Ok(Listed(Server { address, weight, priority }))
    }
}

/// By hand, since what serde derives for "one or the other" forgets in which line a mistake is.
impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Listed;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a URL, or a table with a url")
            }

            fn visit_str<E: serde::de::Error>(self, url: &str) -> Result<Listed, E> {
                Full { url: url.to_owned(), weight: None, priority: None }.check().map_err(E::custom)
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Listed, M::Error> {
                Full::deserialize(MapAccessDeserializer::new(map))?.check().map_err(M::Error::custom)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(name: &str, text: &str) -> Result<Vec<String>, String> {
        let shown = |server: Server| format!("{} {} {}", server.address, server.weight, server.priority);
        let servers = parse(Path::new(name), text).map_err(|fault| fault.to_string())?;
        Ok(servers.into_iter().map(shown).collect())
    }

    #[test]
    fn the_same_servers_in_three_forms() {
        let expected = ["http://10.0.0.1:9000 1 0", "https://b.example:443 2 0", "unix:/run/app.sock 1 1"].map(str::to_owned);
        let lines = "# ours\nhttp://10.0.0.1:9000\n\n  https://b.example weight=2  # the large one\nunix:/run/app.sock priority=1\r\n";
        let toml = "servers = [\n  \"http://10.0.0.1:9000\",\n  { url = \"https://b.example\", weight = 2 },\n  { url = \"unix:/run/app.sock\", priority = 1 },\n]\n";
        let array = r#"["http://10.0.0.1:9000", {"url": "https://b.example", "weight": 2}, {"url": "unix:/run/app.sock", "priority": 1}]"#;
        for (name, text) in [
            ("servers.txt", lines),
            ("servers", lines),
            ("servers.toml", toml),
            ("servers.json", array),
            ("servers.json", &format!("{{\"servers\": {array}}}")),
        ] {
            assert_eq!(read(name, text).unwrap(), expected, "{name}: {text}");
        }
    }

    #[track_caller]
    fn check(name: &str, text: &str, fault: &str) {
        let found = read(name, text).unwrap_err();
        assert!(found.starts_with(fault), "{name}: {found:?} instead of {fault:?}");
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        check("servers.txt", "http://10.0.0.1:9000\n10.0.0.2:9000\n", "line 2: `10.0.0.2:9000` does not say how it is reached");
        check("servers.txt", "http://10.0.0.1:9000 wieght=2\n", "line 1: `wieght=2` is not known here");
        check("servers.txt", "\nhttp://10.0.0.1:9000 weight=300\n", "line 2: a weight is from 1 to 256, not 300");
        check("servers.txt", "http://10.0.0.1:9000 weight=x\n", "line 1: `x` in `weight=x` is not a number");
        check("servers.toml", "servers = [\n\"http://10.0.0.1:9000\",\n\"nonsense\",\n]\n", "line 3: `nonsense` does not say");
        check("servers.toml", "servers = [\n", "line ");
        check("servers.toml", "server = []\n", "line 1: unknown field `server`");
        check("servers.json", "[\n\"http://10.0.0.1:9000\",\n\"nonsense\"]", "line 3: `nonsense` does not say");
        check(
            "servers.json",
            "{\"servers\": [\n{\"url\": \"http://10.0.0.1\", \"weight\": 0}]}",
            "line 2: a weight is from 1 to 256, not 0",
        );
        check("servers.json", "[{\"weight\": 2}]", "line 1: missing field `url`");
    }

    #[test]
    fn a_file_without_servers_is_none() {
        for (name, text) in [("servers.txt", "# nobody\n"), ("servers.txt", ""), ("servers.toml", "servers = []"), ("servers.json", "[]")] {
            check(name, text, "it names no server");
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_the_reader_panic(
            name in prop::sample::select(vec!["s.txt", "s.toml", "s.json"]),
            words in prop::collection::vec(prop::sample::select(vec![
                "servers", "=", "[", "]", "{", "}", "\"", "url", ":", ",", "weight=", "priority", "http://a", "https://[::1]:", "unix:", "srv:_http._tcp.b",
                "0", "65536", "#", "\n", "\u{e9}", " ",
            ]), 0..40),
        ) {
            let text = words.concat();
            if let Ok(servers) = parse(Path::new(name), &text) {
                prop_assert!(servers.iter().all(|server| ServerAddress::parse(&server.address.to_string()).as_ref() == Ok(&server.address)));
            }
        }
    }
}
