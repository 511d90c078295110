//! A scenario ready to be sent: templates taken apart, heads written, and whole requests where nothing is filled in.

use http::header::{HeaderName, HeaderValue};
use http::{Method, Uri};

use super::cookies::Jar;
use super::template::{Template, Values, write_number};
use super::{Request, Scenario};
use crate::target::Target;

const USER_AGENT: &str = concat!("plimsoll-load/", env!("CARGO_PKG_VERSION"));
/// Those that say where the message ends or what becomes of the connection: the generator's own business.
const RESERVED: [&str; 7] = ["content-length", "transfer-encoding", "connection", "upgrade", "expect", "te", "keep-alive"];

#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) requests: Vec<PreparedRequest>,
    pub(crate) login: Vec<PreparedRequest>,
    pub(crate) users: usize,
    /// The running sum of weights.
    weights: Vec<f64>,
}

#[derive(Debug)]
pub(crate) struct PreparedRequest {
    pub(crate) name: String,
    pub(crate) method: Method,
    /// May be sent again when a kept-alive connection turns out to be closed.
    pub(crate) is_idempotent: bool,
    path: Template,
    headers: Vec<(HeaderName, Template)>,
    body: Template,
    /// HTTP/1.1: everything before cookies and the length.
    head: Template,
    has_length: bool,
    /// HTTP/1.1: the whole request, when nothing is filled in.
    whole: Option<Vec<u8>>,
    authority: String,
    scheme: &'static str,
}

impl Prepared {
    pub(crate) fn new(scenario: &Scenario, target: &Target) -> Result<Self, String> {
        let prepare = |request: &Request| {
            PreparedRequest::new(request, target, scenario.users > 0).map_err(|reason| format!("request `{}`: {reason}", request.name))
        };
        let requests = scenario.requests.iter().map(prepare).collect::<Result<_, _>>()?;
        let login = scenario.login.iter().map(prepare).collect::<Result<_, _>>()?;
        let mut sum = 0.0;
        let running_sum = scenario.requests.iter().map(|request| {
            sum += request.weight;
            sum
        });
        Ok(Self { requests, login, users: scenario.users, weights: running_sum.collect() })
    }

    /// The request that a random number from 0 up to 1 stands for.
    pub(crate) fn choose(&self, random: f64) -> usize {
        let at = random * self.weights.last().copied().unwrap_or(1.0);
        self.weights.iter().position(|sum| at < *sum).unwrap_or(0)
    }
}

impl PreparedRequest {
    fn new(request: &Request, target: &Target, has_users: bool) -> Result<Self, String> {
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| format!("`{}` is no method", request.method))?;
        if method == Method::CONNECT {
            return Err("CONNECT asks for a tunnel, not for an answer".to_owned());
        }
        let path = if request.path.is_empty() { target.path.as_str() } else { request.path.as_str() };
        if !path.starts_with('/') || path.bytes().any(|byte| byte <= b' ' && !is_inside_place(path, byte) || byte == 0x7f) {
            return Err(format!("the path `{path}` must begin with a slash and hold no space; write %20"));
        }
        let mut headers = Vec::with_capacity(request.headers.len());
        for (name, value) in &request.headers {
            headers.push(header(name, value, has_users)?);
        }
        let body = Template::parse(&request.body)?;
        let has_length = !request.body.is_empty() || [Method::POST, Method::PUT, Method::PATCH].contains(&method);
        let mut prepared = Self {
            name: request.name.clone(),
            is_idempotent: [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE].contains(&method),
            path: Template::parse(path.as_bytes())?,
            head: Template::parse(head_text(&method, path, &request.headers, target).as_bytes())?,
            method,
            headers,
            body,
            has_length,
            whole: None,
            authority: target.authority(),
            scheme: target.scheme.as_str(),
        };
        if prepared.head.fixed().is_some() && prepared.body.fixed().is_some() {
            let mut whole = Vec::new();
            prepared.render(&Values::default(), None, &mut whole);
            prepared.whole = Some(whole);
        }
        Ok(prepared)
    }

    /// Writes the request as HTTP/1.1 sends it.
    pub(crate) fn render(&self, values: &Values, jar: Option<&Jar>, out: &mut Vec<u8>) {
        let jar = jar.filter(|jar| !jar.is_empty());
        if let (Some(whole), None) = (&self.whole, jar) {
            return out.extend_from_slice(whole);
        }
        self.head.render(values, out);
        if let Some(jar) = jar {
            out.extend_from_slice(b"cookie: ");
            jar.write(out);
            out.extend_from_slice(b"\r\n");
        }
        if self.has_length {
            let mut body = Vec::new();
            self.body.render(values, &mut body);
            out.extend_from_slice(b"content-length: ");
            write_number(body.len() as u64, out);
            out.extend_from_slice(b"\r\n\r\n");
            out.extend_from_slice(&body);
        } else {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// The request as HTTP/2 sends it: the head, and the body if there is one.
    pub(crate) fn message(&self, values: &Values, jar: Option<&Jar>) -> Result<(http::Request<()>, Vec<u8>), &'static str> {
        let mut text = Vec::new();
        self.path.render(values, &mut text);
        let uri = Uri::builder().scheme(self.scheme).authority(self.authority.as_str()).path_and_query(text.as_slice());
        let mut message = http::Request::new(());
        *message.uri_mut() = uri.build().map_err(|_| "the path cannot be sent")?;
        *message.method_mut() = self.method.clone();
        *message.version_mut() = http::Version::HTTP_2;
        let headers = message.headers_mut();
        headers.insert(http::header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(http::header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        for (name, value) in self.headers.iter().filter(|(name, _)| *name != http::header::HOST) {
            text.clear();
            value.render(values, &mut text);
            let value = HeaderValue::from_bytes(&text).map_err(|_| "a header's value cannot be sent")?;
            // The two of our own give way; names that the scenario repeats are all sent.
            if [http::header::ACCEPT, http::header::USER_AGENT].contains(name) {
                headers.insert(name, value);
            } else {
                headers.append(name, value);
            }
        }
        if let Some(jar) = jar.filter(|jar| !jar.is_empty()) {
            text.clear();
            jar.write(&mut text);
            headers.insert(http::header::COOKIE, HeaderValue::from_bytes(&text).map_err(|_| "a cookie cannot be sent")?);
        }
        let mut body = Vec::new();
        self.body.render(values, &mut body);
        if self.has_length {
            headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        Ok((message, body))
    }
}

/// A space within `{{ n }}` is not one of the path.
fn is_inside_place(path: &str, byte: u8) -> bool {
    byte == b' ' && path.matches(' ').count() == spaces_in_places(path)
}

fn spaces_in_places(path: &str) -> usize {
    let places = path.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
    places.map(|(name, _)| name.matches(' ').count()).sum()
}

fn header(name: &str, value: &str, has_users: bool) -> Result<(HeaderName, Template), String> {
    let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no name of a header"))?;
    if RESERVED.contains(&known.as_str()) {
        return Err(format!("the header `{name}` is the generator's own to send"));
    }
    if has_users && known == http::header::COOKIE {
        return Err("the header `Cookie` comes from each user's jar; leave it out, or set users to 0".to_owned());
    }
    HeaderValue::from_str(value).map_err(|_| format!("the value of the header `{name}` holds a character that cannot be sent"))?;
    Ok((known, Template::parse(value.as_bytes())?))
}

/// The request line and the header lines, with the placeholders still in them.
fn head_text(method: &Method, path: &str, headers: &[(String, String)], target: &Target) -> String {
    let has = |wanted: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    let own = [("host", target.authority()), ("user-agent", USER_AGENT.to_owned()), ("accept", "*/*".to_owned())];
    for (name, value) in own.iter().filter(|(name, _)| !has(name)) {
        text.extend([*name, ": ", value.as_str(), "\r\n"]);
    }
    for (name, value) in headers {
        text.extend([name.as_str(), ": ", value.as_str(), "\r\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(request: &Request, users: usize) -> Result<Prepared, String> {
        let scenario = Scenario { requests: vec![request.clone()], login: Vec::new(), users };
        Prepared::new(&scenario, &":80/own".parse().unwrap())
    }

    fn rendered(request: &Request, values: &Values, jar: Option<&Jar>) -> String {
        let mut out = Vec::new();
        prepared(request, usize::from(jar.is_some())).unwrap().requests[0].render(values, jar, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_body_with_places_is_announced_at_its_filled_in_length() {
        let request = Request { body: b"{\"n\":{{n}}}".to_vec(), ..Request::new("POST", "/a/{{ n }}") };
        let values = Values { n: 1234, ..Values::default() };
        let text = rendered(&request, &values, None);
        assert!(text.starts_with("POST /a/1234 HTTP/1.1\r\nhost: localhost\r\n"), "{text}");
        assert!(text.ends_with("content-length: 10\r\n\r\n{\"n\":1234}"), "{text}");
        let (message, body) = prepared(&request, 0).unwrap().requests[0].message(&values, None).unwrap();
        assert_eq!((message.uri().path(), body.as_slice()), ("/a/1234", &b"{\"n\":1234}"[..]));
    }

    #[test]
    fn cookies_are_shown_and_a_get_has_no_length() {
        let mut jar = Jar::default();
        jar.store(b"a=1");
        let text = rendered(&Request::new("GET", ""), &Values::default(), Some(&jar));
        assert!(text.starts_with("GET /own HTTP/1.1\r\n") && text.ends_with("\r\ncookie: a=1\r\n\r\n"), "{text}");
        assert!(!text.contains("content-length"), "{text}");
    }

    #[test]
    fn headers_of_the_scenario_replace_our_own() {
        let request = Request { headers: vec![("Host".to_owned(), "other".to_owned())], ..Request::new("GET", "/") };
        let text = rendered(&request, &Values::default(), None);
        assert_eq!(text.to_lowercase().matches("host: ").count(), 1, "{text}");
    }

    #[test]
    fn what_would_break_the_message_is_refused() {
        let with_header = |name: &str, value: &str| Request { headers: vec![(name.into(), value.into())], ..Request::new("GET", "/") };
        for request in [
            Request::new("G T", "/"),
            Request::new("CONNECT", "/"),
            Request::new("GET", "no-slash"),
            Request::new("GET", "/a b"),
            Request::new("GET", "/a\r\nx: y"),
            Request::new("GET", "/{{guid}}"),
            with_header("Content-Length", "1"),
            with_header("a b", "1"),
            with_header("a", "1\r\nb: 2"),
        ] {
            prepared(&request, 0).unwrap_err();
        }
        prepared(&with_header("Cookie", "a=1"), 1).unwrap_err();
    }

    #[test]
    fn weights_share_out_the_numbers_from_0_to_1() {
        let request = |weight| Request { weight, ..Request::new("GET", "/") };
        let scenario = Scenario { requests: vec![request(1.0), request(0.0), request(3.0)], login: Vec::new(), users: 0 };
        let prepared = Prepared::new(&scenario, &":80".parse().unwrap()).unwrap();
        let chosen: Vec<usize> = [0.0, 0.24, 0.25, 0.999].into_iter().map(|random| prepared.choose(random)).collect();
        assert_eq!(chosen, [0, 0, 2, 2]);
    }
}
