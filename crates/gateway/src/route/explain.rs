//! Which route would take a request, and why not the others: the same look-up as for real ones, told in words.

use bytes::Bytes;
use http::Method;

use super::table::{Routes, Verdict};
use super::{Asked, Parts, Pattern};
use crate::action::Action;
use crate::message::{Framing, Headers, Request, RequestBody, Version};

/// A request that nobody has sent.
#[derive(Clone, Debug)]
pub struct Question {
    pub method: Method,
    /// As in `Host`, with or without port.
    pub host: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
}

/// What would become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Every route whose host and path take it, in the order in which they are asked: its position in the list, and what became of it.
    pub candidates: Vec<(usize, Verdict)>,
    /// What the named parts of the path stand for.
    pub parts: Vec<(String, String)>,
    /// What is done with it, in words.
    pub outcome: String,
}

impl Question {
    pub(crate) fn request(&self) -> Request {
        let mut headers = Headers::default();
        for (name, value) in &self.headers {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        Request {
            version: Version::Http11,
            method: self.method.clone(),
            target: Bytes::copy_from_slice(self.target.as_bytes()),
            host: Bytes::copy_from_slice(self.host.as_bytes()),
            host_rewritten: None,
            headers,
            framing: Framing::None,
            body: RequestBody::empty(),
            upgrade: None,
            deadline: None,
        }
    }
}

impl Routes {
    /// `upstreams`: what they are called, in the order of their positions.
    pub fn explain(&self, question: &Question, upstreams: &[String]) -> Explanation {
        let mut request = question.request();
        let asked = Asked::by(&request);
        let candidates = self.verdicts(&asked);
        let Some(route) = self.find(&asked) else {
            return Explanation { candidates, parts: Vec::new(), outcome: self.refusal(&asked) };
        };
        let parts = named_parts(&route.on.path, asked.path);
        let outcome = outcome(&route.action, &mut request, upstreams);
        Explanation { candidates, parts, outcome }
    }

    fn refusal(&self, asked: &Asked<'_>) -> String {
        let allowed = self.allowed(asked);
        if !allowed.is_empty() {
            let allowed: Vec<_> = allowed.iter().map(|method| method.as_str()).collect();
            return format!("it is answered 405 with Allow: {}", allowed.join(", "));
        }
        if self.has_other_readings(asked) {
            return "it is answered 404: servers may read this path in ways that belong to different routes".to_owned();
        }
        "it is answered 404: no route takes it".to_owned()
    }
}

fn named_parts(pattern: &Pattern, path: &[u8]) -> Vec<(String, String)> {
    let Ok(parts) = Parts::of(path) else { return Vec::new() };
    let part = |name: &str| {
        let value = parts.named(pattern, name).ok()?;
        Some((name.to_owned(), String::from_utf8_lossy(value).into_owned()))
    };
    pattern.names().filter_map(part).collect()
}

fn outcome(action: &Action, request: &mut Request, upstreams: &[String]) -> String {
    match action {
        Action::Forward(to) => {
            let name = upstreams.get(to.upstream).map_or("?", String::as_str);
            if to.rewrite.as_ref().is_some_and(|rewrite| rewrite.apply(request).is_err()) {
                return "it is answered 404: servers may read this path in different ways, so it cannot be rewritten".to_owned();
            }
            let target = String::from_utf8_lossy(&request.target);
            let host = request.host_rewritten.as_ref().map(|host| format!(" at {}", String::from_utf8_lossy(host))).unwrap_or_default();
            let mirror = to.mirror.as_ref().and_then(|mirror| upstreams.get(mirror.upstream()));
            let mirror = mirror.map(|mirror| format!(", and a copy may go to `{mirror}`")).unwrap_or_default();
            format!("upstream `{name}` gets it as {target}{host}{mirror}")
        }
        Action::Redirect(redirect) => match redirect.answer(request) {
            Ok(response) => {
                let location = response.head.headers.first_named("location").unwrap_or_default();
                format!("it is answered {} with Location: {}", response.head.status.as_u16(), String::from_utf8_lossy(location))
            }
            Err(refusal) => format!("it is answered {}: {}", refusal.status().as_u16(), refusal.detail),
        },
        Action::Respond(respond) => format!("it is answered {} by the edge itself", respond.answer().head.status.as_u16()),
        Action::Files(files) => files.explain(request),
    }
}
