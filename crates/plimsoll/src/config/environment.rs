//! The only place that reads the process's environment, and the two layers of settings in it.
//!
//! `PLIMSOLL__GATEWAY__PORT` reaches every setting; `PLIMSOLL_PORT` is the twin of `--port` and stronger, as a flag is meant for this one run.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::FILE_VARIABLE;
use super::draft::Draft;
use super::mistake::Mistake;
use super::raw::Raw;
use super::settings::{Settings, TABLES};
use super::source::{Kind, Place, Source};
use super::suggest;
use super::table::Field;

/// Variables that begin so are ours.
const PREFIX: &str = "PLIMSOLL_";
/// Those that are no settings: which file to read, and what an instance is told about itself.
const OTHERS: [&str; 5] = [FILE_VARIABLE, "PLIMSOLL_INSTANCE", "PLIMSOLL_SOCKET", "PLIMSOLL_VERSION", PREDECESSOR];

/// Names the process that the next one takes over from. It is for that one alone, and not even seen by those it starts.
const PREDECESSOR: &str = "PLIMSOLL_SUCCEEDS";
/// What a service manager tells the process that it has started, and nobody else.
const OF_SERVICE_MANAGER: [&str; 6] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];
/// Those of them that hold for a successor too.
const INHERITED: [&str; 2] = ["NOTIFY_SOCKET", "WATCHDOG_USEC"];

/// The environment as it was when the program started.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    pub fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    #[cfg(test)]
    pub fn from_told(told: &[(String, String)]) -> Self {
        Self(told.iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    #[cfg(test)]
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        Self(variables.iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// What instances inherit: everything that is not meant for us.
    pub fn for_instances(&self) -> Vec<(OsString, OsString)> {
        let is_ours = |name: &OsStr| name == PREDECESSOR || OF_SERVICE_MANAGER.iter().any(|ours| name == *ours);
        self.variables().filter(|(name, _)| !is_ours(name)).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// What a successor of this process gets.
    pub fn for_successor(&self) -> Vec<(OsString, OsString)> {
        let mut variables = self.for_instances();
        variables.extend(INHERITED.iter().filter_map(|name| Some((OsString::from(name), self.get(name)?.to_owned()))));
        variables.push((PREDECESSOR.into(), std::process::id().to_string().into()));
        variables
    }

    /// Whether our parent has started us to take over from it.
    pub fn is_successor(&self) -> bool {
        let named = self.get(PREDECESSOR).and_then(|pid| pid.to_str()?.parse().ok());
        named.is_some() && named == rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get())
    }
}

/// Applies the variables that are settings. Other names with our prefix are mistakes: a typo must not mean the default.
pub fn read(environment: &Environment, draft: &mut Draft) {
    for field in fields() {
        for name in names(field) {
            if let Some(value) = environment.get(&name) {
                read_variable(field, &name, value, draft);
            }
        }
    }
    for (name, value) in environment.variables() {
        let name = name.to_string_lossy();
        let is_known = || OTHERS.contains(&&*name) || fields().flat_map(names).any(|known| known == name);
        if name.starts_with(PREFIX) && !is_known() {
            draft.mistakes.push(unknown(&name, value));
        }
    }
}

/// From the weaker to the stronger: the twin of a flag is meant for this one run.
fn names(field: &'static Field<Settings>) -> impl Iterator<Item = String> {
    [Some(field.variable()), field.flag_variable()].into_iter().flatten()
}

fn read_variable(field: &'static Field<Settings>, name: &str, value: &OsStr, draft: &mut Draft) {
    if let Some(text) = value.to_str() {
        return assign(field, Kind::Environment, name, text, draft);
    }
    let (source, start) = Source::assignment(Kind::Environment, name, &value.to_string_lossy(), field.secret);
    let place = Place { span: start..source.text.len(), source };
    draft.faulty.insert(field.path);
    draft.mistakes.push(Mistake::error(format!("{}: this is not UTF-8", field.path), Some(place), "write it in UTF-8"));
}

/// Gives a setting the text of a variable or a flag.
pub fn assign(field: &'static Field<Settings>, kind: Kind, name: &str, value: &str, draft: &mut Draft) {
    let (source, start) = Source::assignment(kind, name, value, field.secret);
    let value = Raw::text(&source.text[start..], start);
    draft.set(field, &value, &source);
}

pub fn fields() -> impl Iterator<Item = &'static Field<Settings>> {
    TABLES.iter().flat_map(|table| table.fields)
}

fn unknown(name: &str, value: &OsStr) -> Mistake {
    // The value may be a secret under a mistyped name.
    let (source, start) = Source::assignment(Kind::Environment, name, &value.to_string_lossy(), true);
    let place = Place { source, span: 0..start - 1 };
    let message = format!("no setting is called `{name}`");
    let begins_with = |prefixes: [&str; 2]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if begins_with(["PLIMSOLL__UPSTREAM", "PLIMSOLL__ROUTE"]) {
        return Mistake::error(message, Some(place), "upstreams and routes are written in the file only");
    }
    if begins_with(["PLIMSOLL_SERVICE_", "PLIMSOLL_PORT_"]) {
        return Mistake::error(message, Some(place), "Kubernetes sets it for a Service called plimsoll: set enableServiceLinks: false");
    }
    // Compared without what all names have in common, which would make everything look near.
    let names: Vec<_> = fields().flat_map(names).chain([FILE_VARIABLE.to_owned()]).collect();
    let ends = names.iter().filter_map(|name| name.strip_prefix(PREFIX));
    let hint = match suggest::closest(name.strip_prefix(PREFIX).unwrap_or(name), ends) {
        Some(near) => format!("did you mean `{PREFIX}{near}`?"),
        None => {
            "`PLIMSOLL_` is Plimsoll's own prefix; a setting that `plimsoll explain` lists has `PLIMSOLL__` in front, `__` for each dot, \
                 all in capitals"
                .to_owned()
        }
    };
    Mistake::error(message, Some(place), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_manager_says_is_for_us_and_our_successor_only() {
        let environment = Environment::of([("PATH", "/bin"), ("NOTIFY_SOCKET", "/n"), ("LISTEN_FDS", "1"), (PREDECESSOR, "1")]);
        let named = |variables: Vec<(OsString, OsString)>| -> Vec<String> {
            variables.into_iter().map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy())).collect()
        };
        assert_eq!(named(environment.for_instances()), ["PATH=/bin"]);
        let own = format!("{PREDECESSOR}={}", std::process::id());
        assert_eq!(named(environment.for_successor()), ["PATH=/bin", "NOTIFY_SOCKET=/n", &own]);
        assert!(!environment.is_successor(), "process 1 has not started us");
    }
}
