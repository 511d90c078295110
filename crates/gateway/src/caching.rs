//! What caches are told about a route's answers, in the application's place.

use http::{HeaderValue, Method, StatusCode};

use crate::message::{Headers, Request, ResponseHead, tokens};

/// What is written over the application's word. Nothing, by default.
#[derive(Clone, Debug, Default)]
pub struct Caching {
    pub cache_control: Option<HeaderValue>,
    /// For the CDN alone (RFC 9213).
    pub cdn_cache_control: Option<HeaderValue>,
}

impl Caching {
    /// Only of good answers to reads: an error that a CDN keeps for a day is an outage of a day. What is meant for one person stays with that person,
    /// whatever an operator hopes for.
    pub(crate) fn apply(&self, request: &Request, head: &mut ResponseHead) {
        if self.cache_control.is_none() && self.cdn_cache_control.is_none() {
            return;
        }
        let is_read = request.method == Method::GET || request.method == Method::HEAD;
        let is_good = matches!(
            head.status,
            StatusCode::OK
                | StatusCode::PARTIAL_CONTENT
                | StatusCode::NOT_MODIFIED
                | StatusCode::MOVED_PERMANENTLY
                | StatusCode::PERMANENT_REDIRECT
        );
        if !is_read || !is_good || is_for_one(request) || is_personal(&head.headers) {
            return;
        }
        for (name, value) in [("cache-control", &self.cache_control), ("cdn-cache-control", &self.cdn_cache_control)] {
            if let Some(value) = value {
                head.headers.set(name, value.as_bytes());
            }
        }
    }
}

/// What was asked with credentials is for whoever has them: `public` would hand it to everybody (RFC 9111, section 3.5).
fn is_for_one(request: &Request) -> bool {
    request.headers.first_named("authorization").is_some()
}

fn is_personal(headers: &Headers) -> bool {
    let forbids = |directive: &[u8]| {
        let name = directive.split(|byte| *byte == b'=').next().unwrap_or_default();
        name.eq_ignore_ascii_case(b"private") || name.eq_ignore_ascii_case(b"no-store")
    };
    headers.first_named("set-cookie").is_some() || headers.all_named("cache-control").flat_map(tokens).any(forbids)
}
