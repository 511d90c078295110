//! Settings while they are being read: each layer writes over the one before, and mistakes are gathered instead of ending the reading.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::mistake::Mistake;
use super::raw::{Fault, Raw};
use super::route::Route;
use super::settings::Settings;
use super::source::{Place, Source};
use super::table::Field;
use super::upstream::Upstream;

#[derive(Default)]
pub struct Draft {
    pub settings: Settings,
    /// Where the settings that are not at their default were written last.
    pub origins: BTreeMap<&'static str, Place>,
    /// Settings that were written wrongly somewhere: what follows from their value would only add noise.
    pub faulty: BTreeSet<&'static str>,
    pub upstreams: Vec<Entry<Upstream>>,
    pub routes: Vec<Entry<Route>>,
    pub mistakes: Vec<Mistake>,
}

/// One table of an array of tables.
pub struct Entry<T> {
    pub value: T,
    /// The header, or the braces of an inline table.
    pub place: Place,
    /// Where each key that could be read has its value.
    pub fields: BTreeMap<&'static str, Place>,
    /// Some key was mistyped or has a value that could not be read: what it would have said is unknown.
    pub faulty: bool,
}

impl<T> Entry<T> {
    /// Drops what was read from these lines.
    pub fn forget(&mut self, lines: &BTreeSet<usize>) {
        let count = self.fields.len();
        self.fields.retain(|_, place| !lines.contains(&place.line()));
        self.faulty |= self.fields.len() < count;
    }

    /// Where the value of a key stands, by the last part of its path.
    pub fn field(&self, name: &str) -> Option<&Place> {
        self.fields.iter().find(|(path, _)| path.rsplit('.').next() == Some(name)).map(|(_, place)| place)
    }
}

impl Draft {
    pub fn set(&mut self, field: &'static Field<Settings>, value: &Raw<'_>, source: &Arc<Source>) {
        match (field.read)(&mut self.settings, value) {
            Ok(()) => {
                self.origins.insert(field.path, Place { source: Arc::clone(source), span: value.span() });
            }
            Err(faults) => {
                self.faulty.insert(field.path);
                self.report(field.path, faults, source);
            }
        }
    }

    /// Turns the faults of a value into mistakes.
    pub fn report(&mut self, path: &str, faults: Vec<Fault>, source: &Arc<Source>) {
        for Fault { span, message, hint } in faults {
            let place = Some(Place { source: Arc::clone(source), span });
            self.mistakes.push(Mistake { severity: super::mistake::Severity::Error, message: format!("{path}: {message}"), place, hint });
        }
    }
}
