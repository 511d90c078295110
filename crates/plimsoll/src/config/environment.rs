//! The only place that reads the process's environment, and the two layers of settings in it.
//!
//! `PLIMSOLL__GATEWAY__PORT` reaches every setting; `PLIMSOLL_PORT` is the twin of `--port` and stronger, as a flag is meant for this one run.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::mistake::Mistake;
use super::settings::{Settings, TABLES};
use super::source::{Kind, Place, Source};
use super::suggest;
use super::table::Field;

/// The prefix of variables that name a setting.
const NESTED: &str = "PLIMSOLL__";

/// The environment as it was when the program started.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Bytes that are not UTF-8 become U+FFFD, which no setting accepts but for paths, where the file is then simply not there.
    pub fn of_process() -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self(std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect())
    }

    #[cfg(test)]
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        Self(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Applies `PLIMSOLL__…`. Names no setting has are mistakes: a typo must not mean the default.
pub fn read_nested(environment: &Environment, draft: &mut Draft) {
    let of_ours = environment.0.range(NESTED.to_owned()..).take_while(|(name, _)| name.starts_with(NESTED));
    for (name, value) in of_ours {
        match fields().find(|field| field.variable() == *name) {
            Some(field) => assign(field, Kind::Environment, name, value, draft),
            None => draft.mistakes.push(unknown(name, value)),
        }
    }
}

/// Applies the twins of flags, such as `PLIMSOLL_PORT`.
pub fn read_twins(environment: &Environment, draft: &mut Draft) {
    for field in fields() {
        let Some(name) = field.flag_variable() else { continue };
        if let Some(value) = environment.get(&name) {
            assign(field, Kind::Environment, &name, value, draft);
        }
    }
}

/// Gives a setting the text of a variable or a flag.
pub fn assign(field: &'static Field<Settings>, kind: Kind, name: &str, value: &str, draft: &mut Draft) {
    let (source, start) = Source::assignment(kind, name, value, field.secret);
    let value = super::raw::Raw::text(&source.text[start..], start);
    draft.set(field, &value, &source);
}

pub fn fields() -> impl Iterator<Item = &'static Field<Settings>> {
    TABLES.iter().flat_map(|table| table.fields)
}

fn unknown(name: &str, value: &str) -> Mistake {
    // The value may be a secret under a mistyped name.
    let (source, start) = Source::assignment(Kind::Environment, name, value, true);
    let place = Place { source, span: 0..start - 1 };
    let message = format!("no setting is called `{name}`");
    if ["PLIMSOLL__UPSTREAM", "PLIMSOLL__ROUTE"].iter().any(|list| name.starts_with(list)) {
        return Mistake::error(message, Some(place), "upstreams and routes are written in the file only");
    }
    let names: Vec<_> = fields().map(Field::variable).collect();
    let hint = match suggest::closest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`plimsoll explain` lists every setting: put `PLIMSOLL__` in front, `__` for each dot, all in capitals".to_owned(),
    };
    Mistake::error(message, Some(place), hint)
}
