//! Sending a client elsewhere, without letting it be sent wherever somebody else likes.
//!
//! A link to this edge must not become a link to any other host: parts of a path never stand where a host does, and a path that could be
//! read as one (`//evil.example`, `/\evil.example`) has no parts.

use http::StatusCode;
use plimsoll_policy::{Reason, Refusal};

use super::Error;
use super::template::{Filling, Template};
use crate::message::{Framing, Headers, Request, Response, ResponseBody, ResponseHead};
use crate::route::Pattern;

/// Where to, and for how long.
#[derive(Clone, Debug)]
pub struct Redirect {
    status: StatusCode,
    location: Template,
    /// Of the route's pattern.
    tail_begins: usize,
}

impl Redirect {
    /// `location` may hold `{host}` (without its port), `{port}` (after it and a colon), `{path}`, `{query}` and the names of the route's pattern.
    pub fn new(status: u16, location: &str, pattern: &Pattern) -> Result<Self, Error> {
        let status = match status {
            301 | 302 | 303 | 307 | 308 => StatusCode::from_u16(status).expect("a redirect"),
            other => return Err(Error::RedirectStatus(other)),
        };
        let tail_begins = pattern.tail_begins().unwrap_or_default();
        Ok(Self { status, location: Template::location(location, pattern)?, tail_begins })
    }

    pub(crate) fn answer(&self, request: &Request) -> Result<Response, Refusal> {
        let (path, query) = (request.routed_path(), request.query());
        let filling = Filling { host: &request.host, path, query, tail_begins: self.tail_begins };
        let location = self.location.fill_location(&filling).map_err(|_| match &request.host[..] {
            [] => Refusal::new(Reason::MalformedRequest, "without a host it is not known where this would lead"),
            _ => Refusal::new(Reason::NoRoute, "servers may read this path in different ways: it is not known where it would lead"),
        })?;
        let mut headers = Headers::default();
        headers.push(b"location", &location);
        let head = ResponseHead::of_the_edge(self.status, headers, Framing::Length(0));
        Ok(Response { head, body: ResponseBody::Empty })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::route::tests::request;

    fn redirect(pattern: &str, location: &str) -> Redirect {
        Redirect::new(308, location, &Pattern::parse(pattern).unwrap()).unwrap()
    }

    fn location(redirect: &Redirect, host: &str, target: &str) -> Option<String> {
        let response = redirect.answer(&request("GET", host, target, &[])).ok()?;
        Some(String::from_utf8(response.head.headers.first_named("location").unwrap().to_vec()).unwrap())
    }

    #[track_caller]
    fn check(redirect: &Redirect, target: &str, expected: Option<&str>) {
        assert_eq!(location(redirect, "Shop.example:8080", target).as_deref(), expected, "{target}");
    }

    #[test]
    fn a_location_is_made_of_host_path_query_and_named_parts() {
        let https = redirect("/*", "https://{host}{path}?{query}");
        check(&https, "/a/b?x=1&y=2", Some("https://Shop.example/a/b?x=1&y=2"));
        check(&https, "/a/b", Some("https://Shop.example/a/b"));
        check(&https, "/a/b?", Some("https://Shop.example/a/b"));
        let moved = redirect("/old/{id}/*", "/new/{id}?from={path}&{query}");
        check(&moved, "/old/7/x?y=1", Some("/new/7?from=/old/7/x&y=1"));
        check(&moved, "/old/7", Some("/new/7?from=/old/7"));
        check(&redirect("/*", "https://example.com/"), "//x/..", Some("https://example.com/"));
        check(&redirect("/docs/{rest...}", "https://docs.example.com/{rest}"), "/docs", Some("https://docs.example.com/"));
        check(
            &redirect("/docs/{rest...}", "https://docs.example.com:8443/v1/{rest}#top"),
            "/docs/a/b",
            Some("https://docs.example.com:8443/v1/a/b#top"),
        );
        check(&redirect("/*", "{path}/"), "/a", Some("/a/"));
        let www = redirect("/*", "http://www.{host}:{port}{path}");
        check(&www, "/a", Some("http://www.Shop.example:8080/a"));
        for (host, led_to) in [
            ("shop.example", "http://www.shop.example/a"),
            ("shop.example:", "http://www.shop.example/a"),
            ("shop.example.:81", "http://www.shop.example:81/a"),
            ("shop.example:443", "http://www.shop.example:443/a"),
        ] {
            assert_eq!(location(&www, host, "/a").as_deref(), Some(led_to), "{host}");
        }
        check(&redirect("/*", "https://{host}:{port}"), "/", Some("https://Shop.example:8080"));
        check(&redirect("/*", "https://app.example:{port}{path}"), "/a", Some("https://app.example:8080/a"));
        assert_eq!(location(&redirect("/*", "https://{host}:{port}/"), "[::1]:8080", "/").as_deref(), Some("https://[::1]:8080/"));
        assert_eq!(location(&redirect("/*", "https://{host}:{port}/"), "[::1]", "/").as_deref(), Some("https://[::1]/"));
    }

    #[test]
    fn nobody_else_says_where_it_leads() {
        let same_host = redirect("/*", "{path}?{query}");
        for target in
            ["//evil.example", "/\\evil.example", "/%2Fevil.example", "/%5cevil.example", "/./..//evil.example", "/;//evil.example"]
        {
            check(&same_host, target, None);
        }
        let tail = redirect("/go/{rest...}", "/{rest}");
        for target in ["/go//evil.example", "/go/\\evil.example", "/go/%2Fevil.example", "/go/..//evil.example"] {
            check(&tail, target, None);
        }
        check(&tail, "/go/evil.example", Some("/evil.example"));
        check(&redirect("/*", "https://{host}{path}"), "/@evil.example", Some("https://Shop.example/@evil.example"));
    }

    #[test]
    fn a_part_ends_no_parameter_and_a_query_ends_no_header() {
        check(
            &redirect("/s/{word}", "/search?q={word}&lang=en"),
            "/s/a&lang=xx=1+2;3",
            Some("/search?q=a%26lang%3Dxx%3D1%2B2%3B3&lang=en"),
        );
        check(&redirect("/*", "/x?{query}"), "/a?q=\"<\u{e9}>", Some("/x?q=%22%3C%C3%A9%3E"));
    }

    #[test]
    fn a_location_that_could_lead_anywhere_is_refused_at_once() {
        let pattern = Pattern::parse("/t/{tenant}/*").unwrap();
        let error = |location: &str| Redirect::new(302, location, &pattern).unwrap_err().to_string();
        for location in ["", "x", "//evil.example/", "ftp://x/", "javascript:alert(1)", "https://", "https:///x", "https://user@x/"] {
            assert!(error(location).starts_with(&format!("`{location}` leads nowhere")), "{location}: {}", error(location));
        }
        assert_eq!(error("https://{tenant}.example.com/"), "`{tenant}` could name any host: write the host out, or `{host}`");
        assert_eq!(error("https://example.com{tenant}"), "`{tenant}` could name any host: write the host out, or `{host}`");
        assert_eq!(error("/{name}"), "nothing here is called `{name}`: known are {tenant}, {host}, {port}, {path}, {query}");
        assert_eq!(error("/x{query}"), "`{query}` stands after a `?`: `/x{query}` has none before it");
        for location in [
            "/{port}",
            "/x?port={port}",
            "https://{port}/",
            "https://{host}{port}",
            "https://:{port}/",
            "https://{host}:{port}0/",
            "https://{host}:{port}:{port}",
            "https://{host}:80:{port}",
        ] {
            assert!(
                error(location).ends_with(&format!(" as in `https://{{host}}:{{port}}/`: `{location}` has it elsewhere")),
                "{location}: {}",
                error(location)
            );
        }
        assert!(error("/a b").contains("cannot stand in a URL") && error("/a\r\nb").contains("cannot stand in a URL"));
        assert_eq!(Redirect::new(304, "/", &pattern).unwrap_err().to_string(), "304 is no redirect: write 301, 302, 303, 307 or 308");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_request_leads_to_another_host_or_into_another_header(
            target in prop::collection::vec(prop::sample::select(b"/.%;\\2fFeE5cC0dDaA@: x\xc3\r\n\t?&={}\"<".to_vec()), 0..40),
            which in 0_usize..3,
        ) {
            let target = [b"/", &target[..]].concat();
            let redirect = [
                redirect("/*", "{path}?{query}"),
                redirect("/{rest...}", "/{rest}?next={path}&{query}"),
                redirect("/*", "https://{host}{path}?{query}"),
            ][which].clone();
            let mut request = request("GET", "a.example", "/", &[]);
            request.target = target.into();
            if let Ok(response) = redirect.answer(&request) {
                let location = response.head.headers.first_named("location").unwrap().to_vec();
                prop_assert!(location.iter().all(u8::is_ascii_graphic), "{location:?}");
                let path = if which == 2 { location.strip_prefix(b"https://a.example").unwrap() } else { &location[..] };
                prop_assert!(matches!(path, [b'/'] | [b'/', b'?', ..]) || (path[0] == b'/' && !matches!(path[1], b'/' | b'\\')), "{path:?}");
            }
        }
    }
}
