//! What a route does with a request: passes it on, sends the client elsewhere, or answers by itself, also from files.

pub mod edits;
pub mod forward;
pub mod mirror;
pub mod redirect;
pub mod respond;
mod template;

use std::sync::Arc;

use http::header::HeaderName;

pub use edits::Edits;
pub use forward::{Forward, Rewrite};
pub use mirror::Mirror;
pub use redirect::Redirect;
pub use respond::Respond;

use crate::files::Files;

/// What is done with the requests of a route.
#[derive(Clone, Debug)]
pub enum Action {
    /// An upstream answers.
    Forward(Forward),
    /// The client is told to ask elsewhere.
    Redirect(Redirect),
    /// An answer that was written before the request came.
    Respond(Respond),
    /// A file of a directory.
    Files(Arc<Files>),
}

/// What cannot be done. Each says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is no path from the root: write `/{0}`")]
    Relative(String),
    #[error("a path for an upstream has no query or fragment, requests keep their own: remove it from `{0}`")]
    Query(String),
    #[error("`{0}` leads nowhere: write a URL such as `https://{{host}}{{path}}`, or a path from the root")]
    Location(String),
    #[error("`{{{0}}}` could name any host: write the host out, or `{{host}}`")]
    PartInHost(String),
    #[error("`{{query}}` stands after a `?`: `{0}` has none before it")]
    QueryPlace(String),
    #[error(
        "`{{port}}` stands after the host and a `:`, with nothing of the host behind it, as in `https://{{host}}:{{port}}/`: `{0}` has it elsewhere"
    )]
    PortPlace(String),
    #[error("nothing here is called `{{{name}}}`: known are {known}")]
    Unknown { name: String, known: String },
    #[error("a brace has no partner in `{0}`: write names as `{{name}}`, and braces as `%7B` and `%7D`")]
    Brace(String),
    #[error("`{0}` holds what cannot stand in a URL: percent-encode everything that is not visible ASCII")]
    Characters(String),
    #[error("{0} bytes are too many: write 2048 at most")]
    TooLong(usize),
    #[error("`{0}` has nothing after its prefix to keep: let the route's path end in `/*`")]
    NoTail(String),
    #[error("`{0}` can never be sent: write a path without empty segments, `.` and `..`")]
    Path(String),
    #[error("`{0}` is not a host: write a name such as `app.internal`, with a port if need be")]
    Host(String),
    #[error("{0} is no redirect: write 301, 302, 303, 307 or 308")]
    RedirectStatus(u16),
    #[error("{0} is no status of a whole answer: write one from 200 to 599")]
    Status(u16),
    #[error("an answer with status {0} has no body: leave the body out")]
    BodyForbidden(u16),
    #[error("a prepared answer may have {max} bytes, this one has {length}: serve it from an upstream")]
    BodyTooLarge { length: usize, max: usize },
    #[error("`{0}` belongs to this connection, not to the message: leave it to the edge")]
    HopByHop(HeaderName),
    #[error("`{0}` says how long the message is: leave it to the edge")]
    Framing(HeaderName),
    #[error("`{0}` says who asked and which way, which the edge itself vouches for: choose another name")]
    Identity(HeaderName),
    #[error("the share of mirrored requests is above 0 and up to 1: {0} is not")]
    Share(String),
}
