//! The file layer: TOML, walked along the tables, every mistake kept with its place.

mod syntax;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::draft::{Draft, Entry};
use super::environment::fields;
use super::mistake::{Mistake, Severity};
use super::raw::{Raw, article};
use super::route::Route;
use super::settings::TABLES;
use super::source::{Kind, Place, Source};
use super::suggest;
use super::synonyms;
use super::table::{Field, Table};
use super::upstream::Upstream;

/// A configuration larger than this is some other file.
const SIZE_MAX: u64 = 1 << 20;

/// Above the first header.
const AT_THE_TOP: &str = "at the top";

/// Reads a file's text.
pub fn open(path: &Path) -> Result<String, Mistake> {
    let cannot = |problem: String| Mistake {
        severity: Severity::Error,
        message: format!("cannot read {}: {problem}", path.display()),
        place: None,
        hint: None,
    };
    let length = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?.len();
    if length > SIZE_MAX {
        return Err(cannot(format!("{length} bytes are too many for a configuration")));
    }
    std::fs::read_to_string(path).map_err(|error| cannot(error.to_string()))
}

/// Applies the text of a file.
pub fn read(name: &str, text: &str, draft: &mut Draft) -> Arc<Source> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut secrets = Vec::new();
    secret_spans(table.get_ref(), "", &mut secrets);
    if !errors.is_empty() {
        secrets.extend(syntax::lines_of_secrets(text));
    }
    let source = Arc::new(Source { kind: Kind::File, name: name.to_owned(), text: text.to_owned(), secrets });
    let mut walk = Walk { source: &source, draft };
    walk.table(table.get_ref(), "");
    let broken = syntax::mistakes(&errors, &source);
    let lines: BTreeSet<_> = broken.iter().filter_map(|mistake| mistake.place.as_ref().map(Place::line)).collect();
    forget(draft, &lines);
    draft.mistakes.extend(broken);
    source
}

/// What was recovered from a line with a syntax error is a guess: nothing else is reported about it, nor concluded from it.
fn forget(draft: &mut Draft, lines: &BTreeSet<usize>) {
    draft.mistakes.retain(|mistake| mistake.place.as_ref().is_none_or(|place| !lines.contains(&place.line())));
    let guessed = draft.origins.iter().filter(|(_, place)| lines.contains(&place.line()));
    draft.faulty.extend(guessed.map(|(path, _)| *path));
    draft.upstreams.iter_mut().for_each(|entry| entry.forget(lines));
    draft.routes.iter_mut().for_each(|entry| entry.forget(lines));
}

struct Walk<'a> {
    source: &'a Arc<Source>,
    draft: &'a mut Draft,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>, prefix: &str) {
        for (key, value) in table {
            let path = join(prefix, key.get_ref());
            if let Some(field) = fields().find(|field| field.path == path) {
                self.draft.set(field, &Raw::toml(value), self.source);
            } else if path == Upstream::TABLE.path {
                let entries = self.entries(&Upstream::TABLE, value);
                self.draft.upstreams.extend(entries);
            } else if path == Route::TABLE.path {
                let entries = self.entries(&Route::TABLE, value);
                self.draft.routes.extend(entries);
            } else if !TABLES.iter().any(|table| table.path == path) {
                let place = if prefix.is_empty() { AT_THE_TOP.to_owned() } else { format!("in [{prefix}]") };
                self.unknown(&place, key.get_ref(), key.span(), &known(prefix), synonyms::key(prefix, key.get_ref()));
            } else if let Some(inner) = value.get_ref().as_table() {
                self.table(inner, &path);
            } else {
                let message = format!("`{path}` is a table, not {} {}", article(value.get_ref().type_str()), value.get_ref().type_str());
                self.mistake(value.span(), message, format!("write [{path}] and its keys below"));
            }
        }
    }

    fn entries<T: Default>(&mut self, form: &Table<T>, value: &toml::Spanned<DeValue<'_>>) -> Vec<Entry<T>> {
        let Some(array) = value.get_ref().as_array() else {
            self.mistake(
                value.span(),
                format!("`{}` is a list of tables", form.path),
                format!("write [[{}]], with two brackets", form.path),
            );
            return Vec::new();
        };
        array.iter().filter_map(|entry| self.entry(form, entry)).collect()
    }

    fn entry<T: Default>(&mut self, form: &Table<T>, value: &toml::Spanned<DeValue<'_>>) -> Option<Entry<T>> {
        let place = Place { source: Arc::clone(self.source), span: value.span() };
        let Some(table) = value.get_ref().as_table() else {
            self.mistake(value.span(), format!("`{}` is a list of tables", form.path), format!("write [[{}]] for each entry", form.path));
            return None;
        };
        let mut entry = Entry { value: T::default(), place, fields: BTreeMap::new(), faulty: false };
        let names: Vec<_> = form.fields.iter().map(Field::name).collect();
        let mut meant = Vec::new();
        for (key, value) in table {
            let Some(field) = form.fields.iter().find(|field| field.name() == key.get_ref()) else {
                let other_word = synonyms::key(form.path, key.get_ref());
                meant.extend(other_word.or_else(|| suggest::closest(key.get_ref(), names.iter().copied())));
                self.unknown(&format!("in [[{}]]", form.path), key.get_ref(), key.span(), &names, other_word);
                continue;
            };
            meant.push(field.name());
            match (field.read)(&mut entry.value, &Raw::toml(value)) {
                Ok(()) => drop(entry.fields.insert(field.path, Place { source: Arc::clone(self.source), span: value.span() })),
                Err(faults) => {
                    entry.faulty = true;
                    self.draft.report(field.path, faults, self.source);
                }
            }
        }
        for field in form.fields.iter().filter(|field| !field.optional && !meant.contains(&field.name())) {
            let message = format!("[[{}]] has no `{}`", form.path, field.name());
            self.mistake(value.span(), message, format!("add `{} = …`: {}", field.name(), (field.accepts)()));
        }
        entry.faulty |= entry.fields.len() < table.len();
        Some(entry)
    }

    fn unknown(&mut self, place: &str, key: &str, span: Range<usize>, known: &[&str], other_word: Option<&str>) {
        let near = || other_word.or_else(|| suggest::closest(key, known.iter().copied())).map(|near| format!("did you mean `{near}`?"));
        let foreign = || synonyms::elsewhere(key).map(str::to_owned);
        // At the top little is known, so what looks like it is seldom meant.
        let meant = if place == AT_THE_TOP { foreign().or_else(near) } else { near().or_else(foreign) };
        let hint = meant.or_else(|| elsewhere(key)).unwrap_or_else(|| format!("known here: {}", known.join(", ")));
        self.mistake(span, format!("unknown key `{key}` {place}"), hint);
    }

    fn mistake(&mut self, span: Range<usize>, message: String, hint: String) {
        let place = Place { source: Arc::clone(self.source), span };
        self.draft.mistakes.push(Mistake::error(message, Some(place), hint));
    }
}

/// Every key that may stand directly in a table.
fn known(prefix: &str) -> Vec<&'static str> {
    let paths =
        fields().map(|field| field.path).chain(TABLES.iter().map(|table| table.path)).chain([Upstream::TABLE.path, Route::TABLE.path]);
    let inside = |path: &'static str| match prefix {
        "" => Some(path),
        _ => path.strip_prefix(prefix)?.strip_prefix('.'),
    };
    paths.filter_map(inside).filter(|rest| !rest.is_empty() && !rest.contains('.')).collect()
}

/// Where a key that is unknown here is known, or nearly so.
fn elsewhere(key: &str) -> Option<String> {
    let near = suggest::closest(key, fields().map(Field::name))?;
    let tables = fields().filter(|field| field.name() == near).map(|field| match field.path.rsplit_once('.') {
        Some((table, _)) => format!("[{table}]"),
        None => "the top of the file".to_owned(),
    });
    Some(format!("`{near}` belongs to {}", tables.collect::<Vec<_>>().join(" or ")))
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

fn secret_spans(table: &DeTable<'_>, prefix: &str, spans: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let path = join(prefix, key.get_ref());
        if fields().any(|field| field.secret && field.path == path) {
            spans.push(value.span());
        } else if let Some(inner) = value.get_ref().as_table() {
            secret_spans(inner, &path, spans);
        }
    }
}
