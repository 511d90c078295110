//! Passing a request on: to which upstream, under which path and host.

use std::sync::Arc;

use bytes::Bytes;

use super::template::{Filling, Template};
use super::{Error, Mirror};
use crate::http1::authority::is_authority;
use crate::message::Request;
use crate::route::{Ambiguous, Parts, Pattern, is_one_path};

/// Which upstream answers, and what it is told.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Its position in the list of upstreams.
    pub upstream: usize,
    /// What is changed on the way; `None` costs nothing.
    pub rewrite: Option<Arc<Rewrite>>,
    /// Who gets a copy of some requests.
    pub mirror: Option<Arc<Mirror>>,
}

impl Forward {
    /// Unchanged.
    pub fn to(upstream: usize) -> Self {
        Self { upstream, rewrite: None, mirror: None }
    }
}

/// What of a request is changed on its way to an upstream.
#[derive(Clone, Debug, Default)]
pub struct Rewrite {
    path: Option<Path>,
    host: Option<Bytes>,
    /// Of the route's pattern.
    tail_begins: usize,
}

#[derive(Clone, Debug)]
enum Path {
    /// What stands before the pattern's `/*` becomes this, without a final slash.
    Prefix(Box<[u8]>),
    Template(Template),
}

impl Rewrite {
    /// Puts `with` in the place of what stands before the pattern's `/*`. With `/` it is removed.
    pub fn prefix(self, pattern: &Pattern, with: &str) -> Result<Self, Error> {
        if !with.starts_with('/') {
            return Err(Error::Relative(with.to_owned()));
        }
        let tail_begins = pattern.tail_begins().ok_or_else(|| Error::NoTail(pattern.as_str().to_owned()))?;
        // What can stand in a template can stand here, but for names.
        let is_plain = with.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#{}\"<>\\^`|".contains(&byte));
        if !is_plain || !is_one_path(with.as_bytes()) {
            return Err(Error::Path(with.to_owned()));
        }
        let path = Some(Path::Prefix(with.trim_end_matches('/').as_bytes().into()));
        Ok(Self { path, tail_begins, ..self })
    }

    /// Makes the path anew, with parts of the old one: `/v2/{id}`.
    pub fn path(self, pattern: &Pattern, template: &str) -> Result<Self, Error> {
        let path = Some(Path::Template(Template::path(template, pattern)?));
        Ok(Self { path, tail_begins: pattern.tail_begins().unwrap_or_default(), ..self })
    }

    /// The `Host` that instances see. The client's own stays in `X-Forwarded-Host`.
    pub fn host(self, host: &str) -> Result<Self, Error> {
        if !is_authority(host.as_bytes()) {
            return Err(Error::Host(host.to_owned()));
        }
        Ok(Self { host: Some(Bytes::copy_from_slice(host.as_bytes())), ..self })
    }

    /// Changes a request. If servers could read its path in ways that would lead to different results, nothing is changed.
    pub(crate) fn apply(&self, request: &mut Request) -> Result<(), Ambiguous> {
        if let Some(path) = &self.path
            && &request.target[..] != b"*"
        {
            let mut target = self.new_path(path, request)?;
            let query_begins = request.routed_path().len();
            target.extend_from_slice(&request.target[query_begins..]);
            request.target = target.into();
        }
        request.host_rewritten.clone_from(&self.host);
        Ok(())
    }

    fn new_path(&self, path: &Path, request: &Request) -> Result<Vec<u8>, Ambiguous> {
        let written = request.routed_path();
        match path {
            Path::Prefix(with) => {
                let parts = Parts::of(written)?;
                let rest = parts.from(self.tail_begins)?;
                let new = [with, rest].concat();
                Ok(if new.is_empty() { vec![b'/'] } else { new })
            }
            Path::Template(template) => {
                template.fill_path(&Filling { host: b"", path: written, query: b"", tail_begins: self.tail_begins })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::Framing;
    use crate::route::tests::request;

    fn pattern(written: &str) -> Pattern {
        Pattern::parse(written).unwrap()
    }

    fn rewritten(rewrite: &Rewrite, target: &str) -> Option<String> {
        let mut request = request("GET", "a.example", target, &[]);
        assert_eq!(request.framing, Framing::None);
        rewrite.apply(&mut request).ok()?;
        Some(String::from_utf8(request.target.to_vec()).unwrap())
    }

    #[track_caller]
    fn check(rewrite: &Rewrite, target: &str, expected: Option<&str>) {
        assert_eq!(rewritten(rewrite, target).as_deref(), expected, "{target}");
    }

    #[test]
    fn a_prefix_is_removed_or_replaced_and_the_rest_stays_as_it_is() {
        let strip = Rewrite::default().prefix(&pattern("/api/*"), "/").unwrap();
        check(&strip, "/api/users/7?x=1&y=%20", Some("/users/7?x=1&y=%20"));
        check(&strip, "/api", Some("/"));
        check(&strip, "/api/", Some("/"));
        check(&strip, "/api?x", Some("/?x"));
        check(&strip, "/%61pi/x/", Some("/x/"));
        check(&strip, "/api/group%2fname", Some("/group%2Fname"));
        check(&strip, "/api/a;v=1", Some("/a;v=1"));
        let replace = Rewrite::default().prefix(&pattern("/api/v1/*"), "/v2/").unwrap();
        check(&replace, "/api/v1/users", Some("/v2/users"));
        check(&replace, "/api/v1", Some("/v2"));
        check(&replace, "/api/v1/", Some("/v2/"));
        check(&Rewrite::default().prefix(&pattern("/{tenant}/*"), "/").unwrap(), "/acme/x", Some("/x"));
    }

    #[test]
    fn a_path_is_made_of_named_parts() {
        let template = Rewrite::default().path(&pattern("/users/{id}/{rest...}"), "/v2/{rest...}/of/{id}").unwrap();
        check(&template, "/users/7/orders/3?q", Some("/v2/orders/3/of/7?q"));
        check(&template, "/users/7", Some("/v2/of/7"));
        check(&template, "/users/a%20b/x", Some("/v2/x/of/a%20b"));
        check(&template, "/users/caf\u{e9}/x", Some("/v2/x/of/caf%C3%A9"));
        let fixed = Rewrite::default().path(&pattern("/*"), "/index.html").unwrap();
        check(&fixed, "/x//..//y", Some("/index.html"));
    }

    #[test]
    fn a_path_that_could_lead_elsewhere_is_not_rewritten() {
        let strip = Rewrite::default().prefix(&pattern("/api/*"), "/").unwrap();
        for target in [
            "/api/../admin",
            "/api/%2e%2e/admin",
            "/api//admin.example/x",
            "/api/\\admin.example",
            "/api/%2Fadmin.example",
            "/api/%5C..",
            "/api/..;/x",
            "/api/x/.",
            "/api/;/x",
        ] {
            check(&strip, target, None);
        }
        let named = Rewrite::default().path(&pattern("/u/{id}/*"), "/{id}").unwrap();
        check(&named, "/u/a%2Fb/x", None);
        check(&named, "/u/a/b%2Fc", Some("/a"));
        let dots = Rewrite::default().path(&pattern("/u/{rest...}"), "/.{rest}").unwrap();
        check(&dots, "/u/x", Some("/.x"));
        check(&dots, "/u", None);
        check(&dots, "/u/./x", None);
    }

    #[test]
    fn what_cannot_be_sent_is_refused_at_once_with_what_to_write() {
        let id = pattern("/u/{id}");
        let path = |template: &str| Rewrite::default().path(&id, template).unwrap_err().to_string();
        assert_eq!(path("x"), "`x` is no path from the root: write `/x`");
        assert_eq!(path("/{name}"), "nothing here is called `{name}`: known are {id}");
        assert_eq!(path("/{host}"), "nothing here is called `{host}`: known are {id}");
        assert!(path("/{id").starts_with("a brace has no partner"));
        assert!(path("/id}").starts_with("a brace has no partner"));
        assert!(path("/a b").starts_with("`/a b` holds what cannot stand in a URL"));
        assert!(path("/a?b").starts_with("a path for an upstream has no query"));
        let prefix = |pattern: &Pattern, with: &str| Rewrite::default().prefix(pattern, with).unwrap_err().to_string();
        assert_eq!(prefix(&id, "/"), "`/u/{id}` has nothing after its prefix to keep: let the route's path end in `/*`");
        for with in ["/a/../b", "//x", "/a b", "/a?b", "/{id}"] {
            assert!(prefix(&pattern("/*"), with).starts_with(&format!("`{with}` can never be sent")), "{with}");
        }
        for host in ["", "a b", "a/b", "user@a", "a\r\nb"] {
            assert!(Rewrite::default().host(host).is_err(), "{host}");
        }
        assert!(Rewrite::default().host("app.internal:8080").is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Whatever a request holds: no dot segment, no empty one but the last, no character that ends a request line.
        #[test]
        fn no_request_makes_a_path_that_servers_read_differently(
            target in prop::collection::vec(prop::sample::select(b"/.%;\\2fFeE5cC0dDaA9 x\xc3\r\n\t?#{}\"".to_vec()), 0..40),
            which in 0_usize..4,
        ) {
            let target = [b"/u/", &target[..]].concat();
            let tail = pattern("/u/{rest...}");
            let named = pattern("/u/{id}/{rest...}");
            let rewrite = match which {
                0 => Rewrite::default().prefix(&tail, "/"),
                1 => Rewrite::default().prefix(&tail, "/new"),
                2 => Rewrite::default().path(&named, "/.{rest}"),
                _ => Rewrite::default().path(&named, "/{rest}/{id}.{id}"),
            }
            .unwrap();
            let mut request = request("GET", "a", "/", &[]);
            request.target = target.clone().into();
            if rewrite.apply(&mut request).is_ok() {
                let path = request.routed_path();
                prop_assert!(path.starts_with(b"/"), "{path:?}");
                prop_assert!(path.iter().all(u8::is_ascii_graphic), "{path:?}");
                let normal = String::from_utf8(crate::route::normal(path)).unwrap();
                prop_assert!(!normal.split('/').any(|segment| segment == "." || segment == ".."), "{normal}");
                let inner = path.strip_suffix(b"/").unwrap_or(path);
                prop_assert!(path == b"/" || !inner.windows(2).any(|pair| pair == b"//"), "{path:?}");
            }
        }
    }
}
