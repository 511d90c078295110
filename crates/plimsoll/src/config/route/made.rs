//! What the keys of a route make in the gateway, with the key that is to blame where they make nothing.
//!
//! `check` finds mistakes by making everything that a start would make.

use std::path::{self, Component, Path};
use std::sync::Arc;
use std::{fs, io};

use http::HeaderValue;
use plimsoll_gateway::action::{Edits, Mirror, Redirect, Respond, Rewrite};
use plimsoll_gateway::files::{self, Files, Immutable};
use plimsoll_gateway::route::{Conditions, Match};

use super::{MIRROR_BODY_BYTES_MAX, MIRROR_IN_FLIGHT_MAX, Route, Switch};
use crate::config::shape::halves;

pub const PLAIN: &str = "text/plain; charset=utf-8";

/// A key whose value makes nothing.
#[derive(Debug)]
pub struct Wrong {
    pub key: &'static str,
    pub message: String,
    pub hint: String,
}

impl Wrong {
    fn with(key: &'static str, error: &impl ToString) -> Self {
        let (message, hint) = halves(error);
        Self { key, message, hint }
    }
}

type Made<T> = Result<T, Wrong>;

impl Route {
    pub fn matches(&self) -> Made<Match> {
        let on = Match::new(self.host.as_deref(), self.pattern.as_str()).map_err(|error| Wrong::with("host", &error))?;
        let conditions = Conditions::new(
            self.methods.clone().unwrap_or_default(),
            self.headers.clone().unwrap_or_default(),
            self.query.clone().unwrap_or_default(),
        );
        Ok(on.on(conditions))
    }

    /// What is changed on the way to the upstream.
    pub fn rewrite(&self) -> Made<Option<Arc<Rewrite>>> {
        let prefix = match (&self.replace_prefix, self.strip_prefix) {
            (Some(with), _) => Some(("replace_prefix", with.as_str())),
            (None, Some(Switch::On)) => Some(("strip_prefix", "/")),
            (None, _) => None,
        };
        if prefix.is_none() && self.rewrite_path.is_none() && self.set_host.is_none() {
            return Ok(None);
        }
        let mut rewrite = Rewrite::default();
        if let Some((key, with)) = prefix {
            rewrite = rewrite.prefix(&self.pattern, with).map_err(|error| Wrong::with(key, &error))?;
        }
        if let Some(template) = &self.rewrite_path {
            rewrite = rewrite.path(&self.pattern, template).map_err(|error| Wrong::with("rewrite_path", &error))?;
        }
        if let Some(host) = &self.set_host {
            rewrite = rewrite.host(host).map_err(|error| Wrong::with("set_host", &error))?;
        }
        Ok(Some(Arc::new(rewrite)))
    }

    pub fn redirects(&self) -> Made<Option<Redirect>> {
        let Some(location) = &self.redirect else { return Ok(None) };
        let status = self.redirect_status.unwrap_or(308);
        let key = if [301, 302, 303, 307, 308].contains(&status) { "redirect" } else { "redirect_status" };
        Redirect::new(status, location, &self.pattern).map(Some).map_err(|error| Wrong::with(key, &error))
    }

    pub fn responds(&self) -> Made<Option<Respond>> {
        let Some(status) = self.respond else { return Ok(None) };
        let body = match (&self.respond_file, &self.respond_body) {
            (Some(file), _) => read(file, Respond::BODY_BYTES_MAX).map_err(|error| {
                let message = format!("cannot read the answer {}: {error}", file.display());
                let hint = "a path that does not begin with a slash counts from the directory in which plimsoll is started".to_owned();
                Wrong { key: "respond_file", message, hint }
            })?,
            (None, Some(body)) => body.clone().into_bytes(),
            (None, None) => Vec::new(),
        };
        let written = self.respond_type.as_deref().unwrap_or_else(|| self.respond_file.as_deref().map_or(PLAIN, type_of));
        let content_type = HeaderValue::from_str(written).map_err(|_| Wrong {
            key: "respond_type",
            message: "a content type is one line without control characters".to_owned(),
            hint: "write one such as \"application/json\"".to_owned(),
        })?;
        Respond::new(status, content_type, body.into()).map(Some).map_err(|error| Wrong::with("respond", &error))
    }

    /// The files that are served. A directory counts from where plimsoll is started, however it moves later.
    pub fn served(&self) -> Made<Option<Files>> {
        let Some(directory) = &self.files else { return Ok(None) };
        let wrong = |key, problem: String, hint: &str| Wrong { key, message: problem, hint: hint.to_owned() };
        let fallback = self.files_fallback.clone();
        if fallback.as_ref().is_some_and(|path| !path.components().all(|part| matches!(part, Component::Normal(_)))) {
            let hint = "write a path below it, such as \"index.html\"";
            return Err(wrong("files_fallback", "this is no file of the directory".to_owned(), hint));
        }
        let in_directory = |error: io::Error| {
            wrong(
                "files",
                format!("cannot serve {}: {error}", directory.display()),
                "name a directory that is there; a relative path starts at the working directory",
            )
        };
        let config = files::Config {
            directory: path::absolute(directory).map_err(in_directory)?,
            fallback,
            immutable: match self.files_immutable {
                None | Some(super::Immutable::Hashed) => Immutable::Hashed,
                Some(super::Immutable::All) => Immutable::All,
                Some(super::Immutable::Off) => Immutable::None,
            },
            cache_control: self.cache_control.clone(),
            cdn_cache_control: self.cdn_cache_control.clone(),
        };
        Files::new(config, self.pattern.as_str()).map(Some).map_err(|error| match error {
            files::Error::Directory(_, error) => in_directory(error),
            error @ files::Error::Kernel(_) => Wrong::with("files", &error),
        })
    }

    /// `upstream`: the position of the one that gets copies.
    pub fn mirror(&self, upstream: usize) -> Made<Arc<Mirror>> {
        let in_flight_max = self.mirror_in_flight_max.unwrap_or(MIRROR_IN_FLIGHT_MAX);
        let body_bytes_max = self.mirror_body_bytes_max.unwrap_or(MIRROR_BODY_BYTES_MAX);
        let mirror = Mirror::new(upstream, self.mirror_share.unwrap_or(1.0), in_flight_max, body_bytes_max);
        mirror.map(Arc::new).map_err(|error| Wrong::with("mirror_share", &error))
    }

    pub fn request_edits(&self) -> Made<Option<Arc<Edits>>> {
        let Self { request_headers_remove: remove, request_headers_set: set, request_headers_add: add, .. } = self.clone();
        let edits = Edits::new(remove.unwrap_or_default(), set.unwrap_or_default(), add.unwrap_or_default());
        edits.map(some).map_err(|error| Wrong::with("request_headers_set", &error))
    }

    pub fn response_edits(&self) -> Made<Option<Arc<Edits>>> {
        let Self { response_headers_remove: remove, response_headers_set: set, response_headers_add: add, .. } = self.clone();
        let edits = Edits::new(remove.unwrap_or_default(), set.unwrap_or_default(), add.unwrap_or_default());
        edits.map(some).map_err(|error| Wrong::with("response_headers_set", &error))
    }
}

fn some(edits: Edits) -> Option<Arc<Edits>> {
    (!edits.is_empty()).then(|| Arc::new(edits))
}

/// A file is looked at before it is opened: opening a pipe would wait for somebody to write.
fn read(file: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    if about.len() > bytes_max as u64 {
        return Err(io::Error::other(format!("it has {} bytes, a prepared answer at most {bytes_max}", about.len())));
    }
    fs::read(file)
}

/// What the name of a file says about it.
pub fn type_of(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("json") => "application/json",
        Some("xml") => "application/xml",
        Some("svg") => "image/svg+xml",
        _ => PLAIN,
    }
}
