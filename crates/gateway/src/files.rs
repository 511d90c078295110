//! Files of a directory as answers.
//!
//! What the path below the route names is looked up beneath the directory and nowhere else (`open`). The file's state makes its validators
//! (`validators`), the conditions and the range of the request are judged by [`plimsoll_policy`], and the body is read as fast as the client takes
//! it (`body`). No file is opened or read on the threads that serve connections.

mod body;
mod content_type;
mod hashed;
mod look_up;
mod open;
mod path;
mod validators;

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use http::{HeaderValue, Method, StatusCode};
use plimsoll_policy::byte_range::{Requested, requested};
use plimsoll_policy::conditional::{Judgement, Preconditions};
use plimsoll_policy::content_coding::Accepted;
use plimsoll_policy::{Reason, Refusal};
use tokio::task::spawn_blocking;

use look_up::{Found, Served};
use path::Wanted;
pub(crate) use path::below;

use crate::compress;
use crate::message::{Framing, Headers, Name, Request, Response, ResponseBody, ResponseHead, tokens};

/// The setting that makes a route serve files.
const SETTING: &str = "route.files";
/// A name that holds a hash of the content never means other content: the longest time that caches know (RFC 9111, section 1.2.2).
const FOR_EVER: &[u8] = b"public, max-age=31536000, immutable";
/// Kept, but asked about before each use.
const ASK_FIRST: &[u8] = b"no-cache";

/// What a route serves, and what caches are told about it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Looked up anew for each request, so a symbolic link to the current release may be moved.
    pub directory: PathBuf,
    /// The file, below the directory, that pages get which are not there: for applications whose paths exist in the browser only.
    pub fallback: Option<PathBuf>,
    pub immutable: Immutable,
    /// `Cache-Control` of what is not immutable. None: `no-cache`.
    pub cache_control: Option<HeaderValue>,
    /// `CDN-Cache-Control` of everything (RFC 9213).
    pub cdn_cache_control: Option<HeaderValue>,
}

/// Which files never change under their name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Immutable {
    /// Those whose name holds what looks like a hash of their content.
    Hashed,
    All,
    None,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot open the directory {}", .0.display())]
    Directory(PathBuf, #[source] io::Error),
    #[error("this kernel cannot keep look-ups inside a directory: serving files needs openat2, in Linux from 5.6 on")]
    Kernel(#[source] io::Error),
}

/// The files of one route.
#[derive(Debug)]
pub struct Files {
    config: Config,
    /// How many segments of a request's path lead to the directory.
    depth: usize,
}

impl Files {
    /// `pattern`: the route's path. `/assets/*` with the directory `dist` makes `/assets/app.js` the file `dist/app.js`, and so does the exact
    /// path `/assets/app.js`.
    pub fn new(config: Config, pattern: &str) -> Result<Self, Error> {
        open::try_out(&config.directory)?;
        let depth = pattern.strip_suffix("/*").unwrap_or_else(|| pattern.rsplit_once('/').map_or("", |(parents, _)| parents));
        Ok(Self { config, depth: depth.matches('/').count() })
    }

    /// `coded`: the codings that may be answered with, and for which types.
    pub(crate) async fn answer(&self, request: &Request, coded: Option<&compress::Config>) -> Result<Response, Refusal> {
        if request.method != Method::GET && request.method != Method::HEAD {
            let refusal = Refusal::new(Reason::MethodNotAllowed, "files can be read, and nothing else");
            return Err(by_setting(refusal).with_allow("GET, HEAD"));
        }
        let Some(wanted) = below(request.routed_path(), self.depth) else { return Err(not_found()) };
        match self.look_up(wanted, request, coded).await? {
            Found::File(served) => self.respond(served, request),
            Found::Directory => Ok(redirect(&request.target)),
            Found::Nothing => {
                let page = self.config.fallback.as_ref().filter(|_| wants_page(request)).ok_or_else(not_found)?;
                let wanted = Wanted { path: page.clone(), is_directory: false };
                match self.look_up(wanted, request, coded).await? {
                    Found::File(served) => self.respond(served, request),
                    Found::Directory | Found::Nothing => Err(not_found()),
                }
            }
        }
    }

    /// What a request gets, in words.
    pub(crate) fn explain(&self, request: &Request) -> String {
        let directory = self.config.directory.display();
        if request.method != Method::GET && request.method != Method::HEAD {
            return "it is answered 405: files can be read, and nothing else".to_owned();
        }
        match below(request.routed_path(), self.depth) {
            Some(wanted) => format!("it is answered with {} of {directory}, or 404 if that is not there", wanted.file().display()),
            None => format!("it is answered 404: it names nothing that could be in {directory}"),
        }
    }

    async fn look_up(&self, wanted: Wanted, request: &Request, coded: Option<&compress::Config>) -> Result<Found, Refusal> {
        let content_type = content_type::of(&wanted.file());
        let variants = coded.filter(|config| config.types.contain(content_type.as_bytes())).map(|config| {
            let accepted = Accepted::read(request.headers.all(Name::AcceptEncoding));
            accepted.ranked(&config.codings)
        });
        let directory = self.config.directory.clone();
        let reads = request.method == Method::GET;
        let found = spawn_blocking(move || look_up::find(&directory, &wanted, variants, reads)).await;
        found.unwrap_or_else(|_| Err(io::Error::other("the look-up panicked"))).map_err(|error| {
            tracing::warn!(%error, directory = %self.config.directory.display(), "cannot serve a file");
            by_setting(Refusal::new(Reason::Internal, "the file cannot be read"))
        })
    }

    fn respond(&self, served: Served, request: &Request) -> Result<Response, Refusal> {
        let state = validators::of(&served.state, served.coding, SystemTime::now());
        let preconditions = Preconditions::read(request.headers.iter().map(|(_, name, value)| (name, value)));
        let headers = self.headers(&served, &state);
        match preconditions.judge(&request.method, &state.as_validators()) {
            Judgement::GoOn => {}
            Judgement::NotModified => {
                let head = ResponseHead::of_the_edge(StatusCode::NOT_MODIFIED, headers, Framing::None);
                return Ok(Response { head, body: ResponseBody::Empty });
            }
            Judgement::Failed => {
                let refusal = Refusal::new(Reason::PreconditionFailed, "the file is not what the request takes it for");
                return Err(by_setting(refusal));
            }
        }
        let range = range(request).filter(|_| preconditions.grants_range(&state.as_validators()));
        match range.map_or(Requested::Whole, |range| requested(range, served.length())) {
            Requested::Whole => Ok(whole(served, headers)),
            Requested::Part { first, last } => Ok(part(served, headers, first, last)),
            Requested::Unsatisfiable => {
                let refusal = Refusal::new(Reason::RangeNotSatisfiable, format!("the file has {} bytes", served.length()));
                Err(by_setting(refusal).with_length(served.length()))
            }
        }
    }

    /// What holds of the file whatever is answered.
    fn headers(&self, served: &Served, state: &validators::State) -> Headers {
        let mut headers = Headers::default();
        headers.push(b"etag", state.etag.as_bytes());
        if let Some(date) = &state.last_modified_text {
            headers.push(b"last-modified", date.as_bytes());
        }
        let is_immutable = match self.config.immutable {
            Immutable::All => true,
            Immutable::Hashed => hashed::is_hashed(&served.path),
            Immutable::None => false,
        };
        let cache_control =
            if is_immutable { FOR_EVER } else { self.config.cache_control.as_ref().map_or(ASK_FIRST, HeaderValue::as_bytes) };
        headers.push(b"cache-control", cache_control);
        if let Some(value) = &self.config.cdn_cache_control {
            headers.push(b"cdn-cache-control", value.as_bytes());
        }
        if served.varies {
            headers.push(b"vary", b"accept-encoding");
        }
        headers
    }
}

/// The one range that is asked for. Of HEAD there is no part (RFC 9110, section 14.2).
fn range(request: &Request) -> Option<&[u8]> {
    let mut values = request.headers.all_named("range").filter(|_| request.method == Method::GET);
    values.next().filter(|_| values.next().is_none())
}

fn whole(served: Served, mut headers: Headers) -> Response {
    describe(&served, &mut headers);
    let length = served.length();
    let body = served.contents.part(0, length);
    Response { head: ResponseHead::of_the_edge(StatusCode::OK, headers, Framing::Length(length)), body }
}

fn part(served: Served, mut headers: Headers, first: u64, last: u64) -> Response {
    describe(&served, &mut headers);
    headers.push(b"content-range", format!("bytes {first}-{last}/{}", served.length()).as_bytes());
    let end = last + 1;
    let framing = Framing::Length(end - first);
    let body = served.contents.part(first, end);
    Response { head: ResponseHead::of_the_edge(StatusCode::PARTIAL_CONTENT, headers, framing), body }
}

/// What the content is. `nosniff`: what is called a picture is never run as a script.
fn describe(served: &Served, headers: &mut Headers) {
    headers.push(b"content-type", content_type::of(&served.path).as_bytes());
    headers.push(b"x-content-type-options", b"nosniff");
    headers.push(b"accept-ranges", b"bytes");
    if let Some(coding) = served.coding {
        headers.push(b"content-encoding", coding.token().as_bytes());
    }
}

/// To the same path with a slash: what a page links to lies beside it. The path has no empty segment, so this leads to no other host.
fn redirect(target: &[u8]) -> Response {
    let end = memchr::memchr(b'?', target).unwrap_or(target.len());
    let mut headers = Headers::default();
    headers.push(b"location", &[&target[..end], b"/", &target[end..]].concat());
    headers.push(b"cache-control", ASK_FIRST);
    let head = ResponseHead::of_the_edge(StatusCode::MOVED_PERMANENTLY, headers, Framing::Length(0));
    Response { head, body: ResponseBody::Empty }
}

/// Whether a person waits for a page. Scripts and pictures that are missing must not be answered with one.
fn wants_page(request: &Request) -> bool {
    let is_page = |kind: &[u8]| kind.get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"text/html"));
    request.headers.all_named("accept").flat_map(tokens).any(is_page)
}

fn not_found() -> Refusal {
    by_setting(Refusal::new(Reason::NotFound, "there is no such file"))
}

fn by_setting(refusal: Refusal) -> Refusal {
    Refusal { setting: Some(SETTING), ..refusal }
}
