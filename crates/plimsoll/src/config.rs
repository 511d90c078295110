//! The settings: what they are, where they come from, and what is wrong with them.
//!
//! | module | holds |
//! |---|---|
//! | `settings`, `upstream`, `route` | every setting, defined once: type, default, bounds, documentation |
//! | `table` | the form in which they are defined |
//! | `shape`, `raw` | how kinds of values are read, bounded and printed |
//! | `file`, `environment` | the layers; flags come last |
//! | `coherence` | what must hold between settings |
//! | `mistake`, `source`, `suggest` | mistakes with file, line, column, caret and hint |
//! | `reference` | `plimsoll.toml` and `docs/configuration.md`, written from the definitions |
//!
//! The strongest layer wins: flag, the flag's variable (`PLIMSOLL_PORT`), `PLIMSOLL__SECTION__KEY`, file, default.

mod acme;
mod coherence;
mod compression;
mod discovery;
mod draft;
mod environment;
mod file;
mod mistake;
mod raw;
mod reference;
mod response_headers;
mod route;
mod settings;
mod shape;
mod source;
mod suggest;
mod synonyms;
mod table;
mod tls;
mod upstream;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plimsoll_gateway::FileStamp;

pub use acme::{Acme, AcmeChallenge};
pub use coherence::Listener;
pub use compression::Compression;
pub use discovery::{Discovery, Family};
pub use environment::{Environment, fields};
pub use mistake::{Mistake, Severity};
pub use reference::{as_markdown, as_toml};
pub use response_headers::{ResponseHeaders, Tell};
pub use route::{PLAIN, Route, Switch, Wrong, type_of};
pub use settings::{AccessLog, Admission, Balance, Gateway, LogFormat, Protocol, Settings, TABLES, Watch};
pub use shape::{HashOn, Limit, Named, Secret};
pub use source::Place;
pub use suggest::closest;
pub use table::{Field, Table};
pub use tls::{CertificateFiles, ClientAuth, Tls, TlsRedirect, TlsVersion};
pub use upstream::{Scheme, Server, ServerAddress, Upstream, is_address};

use draft::{Draft, Entry};
use source::Kind;

/// The file that is read from the working directory when none is named.
pub const FILE_NAME: &str = "plimsoll.toml";
/// The twin of `--config`.
pub const FILE_VARIABLE: &str = "PLIMSOLL_CONFIG";

/// What the command line says about settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config FILE`
    pub config: Option<PathBuf>,
    /// Long flags without their dashes, and their values.
    pub values: Vec<(&'static str, String)>,
}

/// Settings that hold together, and where each of them was written.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    /// The file that was read, if there is one.
    pub file: Option<PathBuf>,
    /// The state that it was in before.
    pub stamp: Option<FileStamp>,
    /// Settings that are not listed are at their default.
    pub origins: BTreeMap<&'static str, Place>,
    /// The places of [`Settings::upstreams`] and [`Settings::routes`].
    pub upstream_places: Vec<Place>,
    pub route_places: Vec<Place>,
    /// Where routes name their hosts, if they do.
    pub host_places: Vec<Option<Place>>,
    /// After [`load`] these are warnings.
    pub mistakes: Vec<Mistake>,
}

impl Loaded {
    /// Only what nothing is wrong with is to be started with.
    fn judged(self) -> Result<Self, Mistakes> {
        if self.mistakes.iter().any(Mistake::is_error) { Err(Mistakes(self.mistakes)) } else { Ok(self) }
    }
}

/// Everything that is wrong, at least one error among it.
#[derive(Debug)]
pub struct Mistakes(pub Vec<Mistake>);

/// Reads all layers and reports every mistake in any of them.
pub fn load(flags: &Flags, environment: &Environment) -> Result<Loaded, Mistakes> {
    examine(flags, environment).judged()
}

/// The same, as far as the layers can be read: to be looked at further, not to be started with.
pub fn examine(flags: &Flags, environment: &Environment) -> Loaded {
    let mut draft = Draft::default();
    let file = choose_file(flags, environment);
    let stamp = file.as_deref().and_then(FileStamp::of);
    if let Some(path) = &file {
        match file::open(path) {
            Ok(text) => drop(file::read(&path.display().to_string(), &text, &mut draft)),
            Err(mistake) => draft.mistakes.push(mistake),
        }
    }
    read_above_file(flags, environment, &mut draft);
    coherence::check(&mut draft);
    finish(draft, file, stamp)
}

/// The data directory of a fleet with these flags and variables, whatever else is wrong in its file: a fleet must be found to be told.
pub fn data_dir(flags: &Flags, environment: &Environment) -> Result<PathBuf, Mistakes> {
    let mut draft = Draft::default();
    if let Some(path) = choose_file(flags, environment) {
        match file::open(&path) {
            Ok(text) => drop(file::read(&path.display().to_string(), &text, &mut draft)),
            Err(mistake) if flags.config.is_some() => return Err(Mistakes(vec![mistake])),
            Err(_) => {}
        }
    }
    read_above_file(flags, environment, &mut draft);
    if draft.faulty.contains("data_dir") {
        draft.mistakes.retain(|mistake| mistake.message.starts_with("data_dir: "));
        return Err(Mistakes(draft.mistakes));
    }
    Ok(draft.settings.data_dir)
}

/// The layers above the file, from the weakest to the strongest.
fn read_above_file(flags: &Flags, environment: &Environment, draft: &mut Draft) {
    environment::read(environment, draft);
    for (flag, value) in &flags.values {
        let field = fields().find(|field| field.flag == Some(flag)).expect("flags are made from fields");
        environment::assign(field, Kind::Flag, &format!("--{flag}"), value, draft);
    }
}

/// The file that was asked for, or the one in the working directory if there is one.
fn choose_file(flags: &Flags, environment: &Environment) -> Option<PathBuf> {
    let named = flags.config.clone().or_else(|| environment.get(FILE_VARIABLE).map(PathBuf::from));
    named.or_else(|| Path::new(FILE_NAME).exists().then(|| FILE_NAME.into()))
}

fn finish(draft: Draft, file: Option<PathBuf>, stamp: Option<FileStamp>) -> Loaded {
    let Draft { mut settings, origins, upstreams, routes, mut mistakes, .. } = draft;
    mistakes.sort_by_key(Mistake::order);
    let host_places = routes.iter().map(|entry| entry.field("host").cloned()).collect();
    let (upstreams, upstream_places) = split(upstreams);
    let (routes, route_places) = split(routes);
    settings.upstreams = upstreams;
    settings.routes = routes;
    Loaded { settings, file, stamp, origins, upstream_places, route_places, host_places, mistakes }
}

fn split<T>(entries: Vec<Entry<T>>) -> (Vec<T>, Vec<Place>) {
    entries.into_iter().map(|entry| (entry.value, entry.place)).unzip()
}

#[cfg(test)]
mod tests;
