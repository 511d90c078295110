//! What a path and a query choose, and what is made of them.

use http::Method;

use super::{LIMITS, received};
use crate::action::{Redirect, Rewrite};
use crate::files::below;
use crate::http1::authority::is_authority;
use crate::http1::head::parse_request;
use crate::message::{Headers, Request};
use crate::route::{Asked, Conditions, Pattern, Requirement, Route, Routes, normal, without_port};

fn asked<'a>(path: &'a [u8], query: &'a [u8], headers: &'a Headers) -> Asked<'a> {
    Asked { method: &Method::GET, host: None, path, query, headers }
}

/// Every byte of it percent-encoded.
fn encoded(text: &[u8]) -> Vec<u8> {
    text.iter().flat_map(|byte| format!("%{byte:02x}").into_bytes()).collect()
}

/// A path: the route that is found is found for every spelling that means the same.
pub fn path(data: &[u8]) {
    let route = |pattern: &str, upstream| Route::new(None, pattern, upstream).expect("a valid pattern");
    let routes = Routes::new(vec![route("/*", 0), route("/admin/*", 1), route("/a/b", 2)]).expect("they differ");
    let headers = Headers::default();
    let find = |path: &[u8]| routes.find(&asked(path, b"", &headers)).map(|route| route.pattern().clone());
    let path = [b"/", data].concat();
    let found = find(&path);
    if !path.contains(&b'%') {
        let spelled = |byte: &u8| if byte.is_ascii_alphanumeric() { encoded(&[*byte]) } else { vec![*byte] };
        let spelled: Vec<u8> = path.iter().flat_map(spelled).collect();
        assert_eq!(find(&spelled), found, "{path:?}");
    }
}

/// A condition on a query: its name, its value and the query on a line each. What a parameter stands for decides, not how it is spelled.
pub fn query(data: &[u8]) {
    let Some([name, value, query]) = lines(data) else { return };
    let (Ok(name), Ok(value)) = (str::from_utf8(name), str::from_utf8(value)) else { return };
    let headers = Headers::default();
    let holds = |value: Option<&str>, query: &[u8]| {
        let requirement = Requirement { name: name.to_owned(), value: value.map(str::to_owned) };
        Conditions::new(Vec::new(), Vec::new(), vec![requirement]).hold(&asked(b"/", query, &headers))
    };
    let is_met = holds(Some(value), query);
    assert!(!is_met || holds(None, query), "a parameter with a value is there");
    let pair = [encoded(name.as_bytes()), encoded(value.as_bytes())].join(&b'=');
    assert!(holds(Some(value), &pair));
    assert!(holds(Some(value), &[query, &pair].join(&b'&')), "what else is asked for hides no parameter");
    let is_plain = !query.iter().any(|byte| b"%+".contains(byte));
    if is_plain {
        let spelled: Vec<u8> = query.iter().flat_map(|byte| if b"&=".contains(byte) { vec![*byte] } else { encoded(&[*byte]) }).collect();
        assert_eq!(holds(Some(value), &spelled), is_met, "{query:?}");
    }
}

/// The path of a file: it lies below the directory, nothing hidden is in it, and each file has one name.
pub fn file_path(data: &[u8]) {
    let path = [b"/", data].concat();
    for depth in 0..3 {
        let Some(wanted) = below(&path, depth) else { continue };
        let mut spelled = b"/x".repeat(depth);
        for part in wanted.file().components() {
            let std::path::Component::Normal(part) = part else { panic!("{} leads elsewhere", wanted.file().display()) };
            let part = part.as_encoded_bytes();
            assert!(!part.iter().any(|byte| b"/\\\0".contains(byte)), "{part:?}");
            assert!(!part.starts_with(b".") || part == b".well-known", "{part:?}");
            spelled.push(b'/');
            spelled.extend(encoded(part));
        }
        let again = below(&spelled, depth).expect("a name that is spelled in another way is a name");
        assert_eq!(again.file(), wanted.file());
    }
}

/// A rewritten path: the route's path, the template and the request's target on a line each. Every server reads what is made in one way.
pub fn rewrite(data: &[u8]) {
    let Some([pattern, template, target]) = lines(data) else { return };
    let Some(pattern) = pattern_of(pattern) else { return };
    let Ok(template) = str::from_utf8(template) else { return };
    for rewrite in [Rewrite::default().path(&pattern, template), Rewrite::default().prefix(&pattern, template)].into_iter().flatten() {
        let Some(mut request) = request(b"shop.example", target) else { return };
        if rewrite.apply(&mut request).is_err() {
            continue;
        }
        let path = request.routed_path();
        assert!(path.starts_with(b"/") && path.iter().all(u8::is_ascii_graphic), "{path:?}");
        let normal = normal(path);
        assert!(!normal.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b"..")), "{path:?}");
        let inner = path.strip_suffix(b"/").unwrap_or(path);
        assert!(path == b"/" || !inner.windows(2).any(|pair| pair == b"//"), "{path:?}");
    }
}

/// A redirect: the route's path, the location's template, host and target on a line each. It leads where the operator says, or to the same host.
pub fn redirect(data: &[u8]) {
    let Some([pattern, template, host, target]) = lines(data) else { return };
    let Some(pattern) = pattern_of(pattern) else { return };
    let (Ok(template), true) = (str::from_utf8(template), is_authority(host)) else { return };
    let (Ok(redirect), Some(request)) = (Redirect::new(308, template, &pattern), request(host, target)) else { return };
    let Ok(answer) = redirect.answer(&request) else { return };
    let location = answer.head.headers.first_named("location").expect("a redirect says where to");
    assert!(location.iter().all(u8::is_ascii_graphic), "{location:?}");
    let Some((scheme, rest)) = template.split_once("://").filter(|_| !template.starts_with(['/', '{'])) else {
        return assert!(!matches!(location, [b'/', b'/' | b'\\', ..]) && location.starts_with(b"/"), "{location:?}");
    };
    let end = rest.find(['/', '?', '#']).into_iter().chain(rest.find("{path}")).min().unwrap_or(rest.len());
    let authority = authority_of(&rest[..end], str::from_utf8(host).expect("a host is ASCII"));
    let begins = format!("{scheme}://{authority}");
    let after = location.strip_prefix(begins.as_bytes()).unwrap_or_else(|| panic!("{location:?} does not begin with {begins}"));
    assert!(matches!(after, [] | [b'/' | b'?' | b'#', ..]), "{location:?}");
}

/// What a template's host and port become.
fn authority_of(template: &str, asked: &str) -> String {
    let host = str::from_utf8(without_port(asked.as_bytes())).expect("a host is ASCII");
    let filled = template.replace("{host...}", host).replace("{host}", host);
    let Some(before) = ["{port}", "{port...}"].iter().find_map(|place| filled.strip_suffix(place)) else { return filled };
    match asked.rsplit_once(':') {
        Some((_, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => format!("{before}{port}"),
        _ => before.strip_suffix(':').expect("a port follows a colon").to_owned(),
    }
}

fn pattern_of(written: &[u8]) -> Option<Pattern> {
    Pattern::parse(str::from_utf8(written).ok()?).ok()
}

/// So many lines, and no more.
fn lines<const COUNT: usize>(data: &[u8]) -> Option<[&[u8]; COUNT]> {
    let lines: Vec<_> = data.split(|byte| *byte == b'\n').collect();
    lines.try_into().ok()
}

/// A request as it may come in.
fn request(host: &[u8], target: &[u8]) -> Option<Request> {
    let block = [b"GET ", target, b" HTTP/1.1\r\nhost: ", host, b"\r\n\r\n"].concat();
    let head = parse_request(&block.into(), &LIMITS).ok()?;
    Some(received(head))
}
