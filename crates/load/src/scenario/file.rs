//! A scenario in a file: TOML with `[[request]]`, `[[login]]` and `users`.
//!
//! ```toml
//! users = 100
//!
//! [[login]]
//! method = "POST"
//! path = "/login"
//! headers = { content-type = "application/json" }
//! body = '{"name":"user{{user}}"}'
//!
//! [[request]]
//! name = "feed"
//! weight = 9
//! path = "/feed"
//!
//! [[request]]
//! name = "order"
//! method = "POST"
//! path = "/orders"
//! headers = { content-type = "application/json", idempotency-key = "{{uuid}}" }
//! body_file = "order.json"
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Request, Scenario};
use crate::error::Error;

/// A body is kept in memory and copied for each request.
const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;
const FILE_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    request: Vec<Entry>,
    #[serde(default)]
    login: Vec<Entry>,
    users: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Option<String>,
    weight: Option<f64>,
    method: Option<String>,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    body_file: Option<PathBuf>,
}

/// Reads the file, and the bodies that it names relative to its own folder.
pub(super) fn read(path: &Path) -> Result<Scenario, Error> {
    let text = String::from_utf8(read_bounded(path, FILE_BYTES_MAX)?)
        .map_err(|_| Error::BadScenario(format!("{} is not text", path.display())))?;
    let in_file = |reason: &dyn std::fmt::Display| Error::BadScenario(format!("{}: {}", path.display(), reason.to_string().trim_end()));
    let file: File = toml::from_str(&text).map_err(|error| in_file(&error))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let requests = file.request.into_iter().map(|entry| entry.read(folder, true)).collect::<Result<_, _>>()?;
    let login: Vec<Request> = file.login.into_iter().map(|entry| entry.read(folder, false)).collect::<Result<_, _>>()?;
    // Logging in is for somebody.
    let users = file.users.unwrap_or(usize::from(!login.is_empty()));
    let scenario = Scenario { requests, login, users };
    scenario.check()?;
    Ok(scenario)
}

impl Entry {
    fn read(self, folder: &Path, may_have_weight: bool) -> Result<Request, Error> {
        let method = self.method.unwrap_or_else(|| "GET".to_owned());
        let name = self.name.unwrap_or_else(|| format!("{method} {}", self.path));
        if self.weight.is_some() && !may_have_weight {
            return Err(Error::BadScenario(format!("login `{name}`: steps of a login have no weight, they are all sent in order")));
        }
        let body = match (self.body, self.body_file) {
            (Some(_), Some(_)) => return Err(Error::BadScenario(format!("request `{name}`: give body or body_file, not both"))),
            (Some(text), None) => text.into_bytes(),
            (None, Some(file)) => read_bounded(&folder.join(file), BODY_BYTES_MAX)?,
            (None, None) => Vec::new(),
        };
        let headers = self.headers.into_iter().collect();
        Ok(Request { name, weight: self.weight.unwrap_or(1.0), method, path: self.path, headers, body })
    }
}

/// The contents of a file, as of a request's body from the command line.
pub(super) fn read_body(path: &Path) -> Result<Vec<u8>, Error> {
    read_bounded(path, BODY_BYTES_MAX)
}

fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::File { path: path.display().to_string(), source };
    if fs::metadata(path).map_err(failed)?.len() > bytes_max {
        return Err(Error::BadScenario(format!("{} is larger than {bytes_max} bytes", path.display())));
    }
    fs::read(path).map_err(failed)
}
