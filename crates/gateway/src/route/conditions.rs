//! What a route asks of a request besides its host and path: method, header fields, query parameters.
//!
//! They choose between upstreams; they keep nobody out. Servers disagree on what a field or parameter that comes twice means.

use http::Method;

use crate::hex;
use crate::message::{Headers, Request};

/// What all must hold for a request to take a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// None: any. GET takes HEAD, too.
    methods: Box<[Method]>,
    headers: Box<[Requirement]>,
    parameters: Box<[Requirement]>,
}

/// Something with this name is there, and if a value is named, with that value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub name: String,
    pub value: Option<String>,
}

/// What of a request decides about its route.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) host: Option<&'a [u8]>,
    pub(crate) path: &'a [u8],
    pub(crate) query: &'a [u8],
    pub(crate) headers: &'a Headers,
}

impl<'a> Asked<'a> {
    pub(crate) fn by(request: &'a Request) -> Self {
        let Request { method, target, host, headers, .. } = request;
        let path = request.routed_path();
        // Its mark stands where the path ends: no second search.
        let query = target.get(path.len() + 1..).unwrap_or_default();
        Self { method, host: Some(host), path, query, headers }
    }
}

/// The first condition that a request does not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    Method,
    Header(Requirement),
    Parameter(Requirement),
}

impl Conditions {
    pub fn new(methods: Vec<Method>, headers: Vec<Requirement>, parameters: Vec<Requirement>) -> Self {
        Self { methods: methods.into(), headers: headers.into(), parameters: parameters.into() }
    }

    /// The methods that it takes; none means any.
    pub(crate) fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// How specific they are. All methods together are one condition.
    pub(crate) fn count(&self) -> usize {
        usize::from(!self.methods.is_empty()) + self.headers.len() + self.parameters.len()
    }

    pub(crate) fn hold(&self, asked: &Asked<'_>) -> bool {
        self.count() == 0 || (self.take_method(asked.method) && self.hold_but_for_method(asked))
    }

    pub(crate) fn hold_but_for_method(&self, asked: &Asked<'_>) -> bool {
        self.headers.iter().all(|requirement| requirement.is_met_by_headers(asked.headers))
            && self.parameters.iter().all(|requirement| requirement.is_met_by_query(asked.query))
    }

    pub(super) fn first_unmet(&self, asked: &Asked<'_>) -> Option<Unmet> {
        if !self.take_method(asked.method) {
            return Some(Unmet::Method);
        }
        let header = self.headers.iter().find(|requirement| !requirement.is_met_by_headers(asked.headers));
        let parameter = || self.parameters.iter().find(|requirement| !requirement.is_met_by_query(asked.query));
        header.cloned().map(Unmet::Header).or_else(|| parameter().cloned().map(Unmet::Parameter))
    }

    fn take_method(&self, method: &Method) -> bool {
        let takes = |method: &Method| self.methods.contains(method);
        self.methods.is_empty() || takes(method) || (*method == Method::HEAD && takes(&Method::GET))
    }

    /// Whether whatever meets the other conditions meets these.
    pub(super) fn cover(&self, other: &Self) -> bool {
        let methods = self.methods.is_empty() || (!other.methods.is_empty() && other.methods.iter().all(|method| self.take_method(method)));
        let all = |mine: &[Requirement], theirs: &[Requirement], ignores_case| {
            mine.iter().all(|requirement| theirs.iter().any(|each| requirement.follows_from(each, ignores_case)))
        };
        methods && all(&self.headers, &other.headers, true) && all(&self.parameters, &other.parameters, false)
    }
}

impl Requirement {
    /// Any field of that name will do.
    fn is_met_by_headers(&self, headers: &Headers) -> bool {
        let is_wanted = |value: &[u8]| self.value.as_ref().is_none_or(|wanted| value.trim_ascii() == wanted.as_bytes());
        headers.iter().any(|(_, name, value)| name.eq_ignore_ascii_case(self.name.as_bytes()) && is_wanted(value))
    }

    /// Any parameter of that name will do. Names and values are compared as what they stand for: `%41` is `A`, `+` a space.
    fn is_met_by_query(&self, query: &[u8]) -> bool {
        let is_wanted = |value: &[u8]| self.value.as_ref().is_none_or(|wanted| stands_for(value, wanted.as_bytes()));
        query.split(|byte| *byte == b'&').any(|parameter| {
            let equals = memchr::memchr(b'=', parameter);
            let (name, value) = parameter.split_at(equals.unwrap_or(parameter.len()));
            stands_for(name, self.name.as_bytes()) && is_wanted(value.get(1..).unwrap_or_default())
        })
    }

    fn follows_from(&self, other: &Self, ignores_case: bool) -> bool {
        let same_name = if ignores_case { self.name.eq_ignore_ascii_case(&other.name) } else { self.name == other.name };
        same_name && (self.value.is_none() || self.value == other.value)
    }
}

/// Whether a part of a query, decoded, is `wanted`.
fn stands_for(written: &[u8], wanted: &[u8]) -> bool {
    let mut wanted = wanted.iter();
    let mut rest = written;
    while let [first, after @ ..] = rest {
        let (byte, after) = match (hex::percent_encoded(rest), first) {
            (Some(byte), _) => (byte, &rest[3..]),
            (None, b'+') => (b' ', after),
            (None, first) => (*first, after),
        };
        if wanted.next() != Some(&byte) {
            return false;
        }
        rest = after;
    }
    wanted.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(name: &str, value: Option<&str>) -> Requirement {
        Requirement { name: name.to_owned(), value: value.map(str::to_owned) }
    }

    #[track_caller]
    fn check_query(query: &str, name: &str, value: Option<&str>, expected: bool) {
        assert_eq!(requirement(name, value).is_met_by_query(query.as_bytes()), expected, "{name} {value:?} in {query}");
    }

    #[test]
    fn a_parameter_is_compared_as_what_it_stands_for() {
        check_query("a=1&b=2", "b", Some("2"), true);
        check_query("a=1&b=2", "b", None, true);
        check_query("a=1&b=2", "b", Some("3"), false);
        check_query("a=1&bb=2", "b", None, false);
        check_query("debug", "debug", None, true);
        check_query("debug", "debug", Some(""), true);
        check_query("v=1&v=2", "v", Some("2"), true);
        check_query("v=%32", "v", Some("2"), true);
        check_query("%76=2", "v", Some("2"), true);
        check_query("q=a+b%20c", "q", Some("a b c"), true);
        check_query("q=100%", "q", Some("100%"), true);
        check_query("q=%4", "q", Some("%4"), true);
        check_query("q=a=b", "q", Some("a=b"), true);
        check_query("q=1%26r=2", "r", None, false);
        check_query("", "q", None, false);
    }

    #[test]
    fn a_field_is_found_in_any_case_and_any_of_several() {
        let mut headers = Headers::default();
        headers.push(b"X-Version", b"1");
        headers.push(b"x-version", b" 2 ");
        assert!(requirement("X-VERSION", Some("2")).is_met_by_headers(&headers));
        assert!(requirement("x-version", None).is_met_by_headers(&headers));
        assert!(!requirement("x-version", Some("3")).is_met_by_headers(&headers));
        assert!(!requirement("x-vers", None).is_met_by_headers(&headers));
    }

    #[test]
    fn conditions_cover_those_that_imply_them() {
        let of = |methods: &[Method], headers: &[(&str, Option<&str>)]| {
            let headers = headers.iter().map(|(name, value)| requirement(name, *value)).collect();
            Conditions::new(methods.to_vec(), headers, Vec::new())
        };
        let any = of(&[], &[]);
        let get = of(&[Method::GET], &[]);
        let read = of(&[Method::GET, Method::HEAD], &[]);
        assert!(any.cover(&get) && !get.cover(&any));
        assert!(get.cover(&read) && read.cover(&get), "GET takes HEAD");
        let (present, equal) = (of(&[], &[("X-A", None)]), of(&[], &[("x-a", Some("1"))]));
        assert!(present.cover(&equal) && !equal.cover(&present));
        assert!(!of(&[], &[("x-a", Some("2"))]).cover(&equal));
        assert!(any.cover(&any));
    }
}
