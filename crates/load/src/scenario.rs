//! The requests themselves: weights, templates, virtual users.

mod cookies;
mod file;
mod prepared;
mod template;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::error::Error;

pub(crate) use cookies::Jar;
pub(crate) use prepared::{Prepared, PreparedRequest};
pub use template::PLACEHOLDERS;
pub(crate) use template::Values;

/// Each is a row in every result.
pub const REQUESTS_MAX: usize = 100;
pub const USERS_MAX: usize = 100_000;

/// What is asked: at least one request, and how users begin.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    pub requests: Vec<Request>,
    /// What every virtual user sends first, in this order, before the load begins.
    pub login: Vec<Request>,
    /// Virtual users, each with a cookie jar; 0 when nobody keeps cookies.
    pub users: usize,
}

/// One kind of request. Path, header values and body may hold [placeholders](PLACEHOLDERS).
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub name: String,
    /// How often it is chosen, relative to the others.
    pub weight: f64,
    pub method: String,
    /// The target's own path when empty.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// A request named after its method and path.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            name: format!("{method} {path}"),
            weight: 1.0,
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A header as written on a command line: `Name: value`.
    pub fn parse_header(text: &str) -> Result<(String, String), Error> {
        match text.split_once(':') {
            Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
            _ => Err(Error::BadScenario(format!("the header `{text}` must be written as `Name: value`"))),
        }
    }

    /// A body as written on a command line: the text itself, or `@file`.
    pub fn parse_body(text: &str) -> Result<Vec<u8>, Error> {
        text.strip_prefix('@').map_or_else(|| Ok(text.as_bytes().to_vec()), |path| file::read_body(Path::new(path)))
    }
}

impl Scenario {
    /// One GET, by nobody in particular.
    pub fn get(path: &str) -> Self {
        Self { requests: vec![Request::new("GET", path)], login: Vec::new(), users: 0 }
    }

    /// Reads a scenario file: TOML with `[[request]]`, `[[login]]` and `users`.
    pub fn read(path: &Path) -> Result<Self, Error> {
        file::read(path)
    }

    /// Says what cannot be sent.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |reason: String| Err(Error::BadScenario(reason));
        if self.requests.is_empty() {
            return refuse("it holds no request".to_owned());
        }
        if self.requests.len() > REQUESTS_MAX || self.login.len() > REQUESTS_MAX {
            return refuse(format!("it holds more than {REQUESTS_MAX} requests"));
        }
        if self.users > USERS_MAX {
            return refuse(format!("{} users are more than {USERS_MAX}", self.users));
        }
        if !self.login.is_empty() && self.users == 0 {
            return refuse("it has a login but no users; set users to 1 or more".to_owned());
        }
        if let Some(request) = self.requests.iter().find(|request| !request.weight.is_finite() || request.weight < 0.0) {
            return refuse(format!("the weight of request `{}` must be a number, zero or more", request.name));
        }
        if self.requests.iter().all(|request| request.weight <= 0.0) {
            return refuse("every weight is zero, so that nothing would be sent".to_owned());
        }
        for (index, request) in self.requests.iter().enumerate() {
            if self.requests[..index].iter().any(|earlier| earlier.name == request.name) {
                return refuse(format!("two requests are named `{}`; results are kept by name", request.name));
            }
        }
        // The rules of messages need no particular server.
        let anywhere = "http://localhost/".parse()?;
        Prepared::new(self, &anywhere).map(drop).map_err(Error::BadScenario)
    }
}
