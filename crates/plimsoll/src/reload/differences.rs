//! What a reload changes, and what it cannot: for whoever asked for it to read.

use std::fmt::{self, Display, Write as _};

use crate::config::{Route, Settings, Upstream, fields};

/// The lines of one kind that are shown; further ones are counted.
const SHOWN_MAX: usize = 20;

/// What is different in new settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// In force from now on.
    pub changed: Vec<String>,
    /// Read once, at the start.
    pub waiting: Vec<String>,
}

impl Differences {
    /// `started` are the settings at the start, `before` those in force.
    pub fn between(started: &Settings, before: &Settings, after: &Settings) -> Self {
        let mut found = Self::default();
        for field in fields() {
            let known = if field.restart { started } else { before };
            if (field.print)(known) == (field.print)(after) {
                continue;
            }
            let (old, new) = ((field.show)(known), (field.show)(after));
            // Secrets look alike, whatever they are.
            let line = if old == new { format!("{}: another", field.path) } else { format!("{}: {old} → {new}", field.path) };
            if field.restart { &mut found.waiting } else { &mut found.changed }.push(line);
        }
        if started.gateway.tls.is_on() != after.gateway.tls.is_on() {
            let listener = if after.gateway.tls.is_on() { "opened" } else { "closed" };
            found.waiting.push(format!("gateway.tls: the listener for https is not {listener} yet"));
        }
        found.changed.extend(entries("upstream", &before.upstreams, &after.upstreams, |upstream: &Upstream| upstream.name.clone()));
        found.changed.extend(entries("route", &before.routes, &after.routes, route));
        found
    }
}

fn route(route: &Route) -> String {
    match &route.host {
        Some(host) => format!("{host}{}", route.pattern),
        None => route.pattern.to_string(),
    }
}

/// What has come, gone or changed, by name.
fn entries<T: PartialEq>(kind: &str, before: &[T], after: &[T], name: impl Fn(&T) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    for new in after.iter().filter(|new| !before.contains(new)) {
        let known = before.iter().any(|old| name(old) == name(new));
        lines.push(format!("{kind} {}: {}", name(new), if known { "changed" } else { "added" }));
    }
    for old in before.iter().filter(|old| !after.iter().any(|new| name(new) == name(old))) {
        lines.push(format!("{kind} {}: removed", name(old)));
    }
    lines
}

impl Display for Differences {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.changed[..] {
            [] => formatter.write_str("reloaded: nothing has changed")?,
            changed => write!(formatter, "reloaded:{}", indented(changed))?,
        }
        match &self.waiting[..] {
            [] => Ok(()),
            waiting => write!(formatter, "\nnot in force before a restart or `plimsoll upgrade`:{}", indented(waiting)),
        }
    }
}

fn indented(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines.iter().take(SHOWN_MAX) {
        let _ = write!(text, "\n  {line}");
    }
    if lines.len() > SHOWN_MAX {
        let _ = write!(text, "\n  … and {} more", lines.len() - SHOWN_MAX);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Flags, load};

    /// The settings that a file holds.
    fn settings(text: &str) -> Settings {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("plimsoll.toml");
        std::fs::write(&file, text).unwrap();
        load(&Flags { config: Some(file), values: Vec::new() }, &Environment::default()).unwrap().settings
    }

    const UPSTREAMS: &str = "[[upstream]]\nname = 'a'\nservers = ['http://127.0.0.1:1']\n[[upstream]]\nname = 'b'\nservers = ['unix:/b']\n";

    #[test]
    fn names_what_changes_and_what_has_to_wait() {
        let before = settings(&format!("{UPSTREAMS}[[route]]\nmatch = '/*'\nupstream = 'a'\n[[route]]\nmatch = '/b'\nupstream = 'b'\n"));
        let after = settings(
            "[gateway]\nport = 9999\n[gateway.timeouts]\nhead = '5s'\n[admin]\ntoken = '0123456789abcdef'\n[[upstream]]\nname = 'a'\n\
             servers = ['http://127.0.0.1:2']\n[[route]]\nmatch = '/*'\nupstream = 'a'\n[[route]]\nhost = 'x.example'\nmatch = '/c/*'\n\
             upstream = 'a'\n",
        );
        let found = Differences::between(&before, &before, &after);
        let changed = [
            "gateway.timeouts.head: \"10s\" → \"5s\"",
            "upstream a: changed",
            "upstream b: removed",
            "route x.example/c/*: added",
            "route /b: removed",
        ];
        assert_eq!(found.changed, changed);
        assert_eq!(found.waiting.len(), 2, "{found:?}");
        assert_eq!(found.waiting[0], "gateway.port: 8080 → 9999");
        let text = found.to_string();
        assert!(text.starts_with("reloaded:\n  gateway.timeouts.head") && text.contains("plimsoll upgrade"), "{text}");
        assert!(!text.contains("0123456789abcdef"), "{text}");
    }

    #[test]
    fn what_waits_for_a_restart_is_named_each_time_until_there_is_one() {
        let (started, after) = (settings(""), settings("[gateway]\nport = 9999\n"));
        let found = Differences::between(&started, &after, &after);
        assert_eq!((found.changed.len(), found.waiting.len()), (0, 1), "{found:?}");
        assert_eq!(Differences::between(&started, &started, &started).to_string(), "reloaded: nothing has changed");
    }
}
