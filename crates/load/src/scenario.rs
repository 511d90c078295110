//! The requests themselves: weights, templates, virtual users.

use std::path::Path;

use crate::error::Error;

/// Names by which a scenario refers to what is filled in anew for each request: `{{uuid}}` and so on.
pub const PLACEHOLDERS: &[&str] = &["uuid", "n", "user", "now_ms"];

/// What is asked: at least one request, and how users begin.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    pub requests: Vec<Request>,
    /// What every virtual user sends first, in this order, before the load begins.
    pub login: Vec<Request>,
    /// Virtual users, each with a cookie jar; 0 when nobody keeps cookies.
    pub users: usize,
}

/// One kind of request. Path, header values and body may hold placeholders.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub name: String,
    /// How often it is chosen, relative to the others.
    pub weight: f64,
    pub method: String,
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
}

impl Scenario {
    /// One GET, by nobody in particular.
    pub fn get(path: &str) -> Self {
        Self { requests: vec![Request::new("GET", path)], login: Vec::new(), users: 0 }
    }

    /// Reads a scenario file: TOML with `[[request]]`, `[[login]]` and `users`.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let _ = path;
        Err(Error::BadScenario("not yet".to_owned()))
    }

    /// Says what cannot be sent.
    pub fn check(&self) -> Result<(), Error> {
        if self.requests.is_empty() {
            return Err(Error::BadScenario("it holds no request".to_owned()));
        }
        Ok(())
    }
}
