//! Which route takes a request and what it does with it, through both versions of HTTP.

mod actions;
mod matching;
mod mirror;

use http::{HeaderName, HeaderValue};
use plimsoll_gateway::action::{Action, Forward, Rewrite};
use plimsoll_gateway::config::UpstreamConfig;
use plimsoll_gateway::route::{Conditions, Match, Pattern, Route};

use crate::edge::{Edge, Plan};
use crate::http2::Http2;
use crate::origin::Origin;
use crate::peer::until;

/// An answer, whichever way it came.
#[derive(Debug)]
struct Seen {
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
}

impl Seen {
    fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        let first = values.next();
        assert!(values.next().is_none(), "{name} appears more than once in {self:?}");
        first
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    #[track_caller]
    fn is_problem(&self, status: u16, slug: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.body.contains(&format!("urn:plimsoll:problem:{slug}")), "{self:?}");
    }
}

/// A request without a body.
#[derive(Clone)]
struct Asking<'a> {
    method: &'a str,
    host: &'a str,
    target: &'a str,
    fields: Vec<(&'a str, &'a str)>,
}

fn asking<'a>(method: &'a str, target: &'a str) -> Asking<'a> {
    Asking { method, host: "shop.example", target, fields: Vec::new() }
}

impl<'a> Asking<'a> {
    fn host(self, host: &'a str) -> Self {
        Self { host, ..self }
    }

    fn field(mut self, name: &'a str, value: &'a str) -> Self {
        self.fields.push((name, value));
        self
    }

    async fn over_http1(&self, edge: &Edge) -> Seen {
        let fields = self.fields.iter().fold(String::new(), |fields, (name, value)| fields + name + ": " + value + "\r\n");
        let mut client = edge.connect().await;
        client.send(format!("{} {} HTTP/1.1\r\nhost: {}\r\n{fields}\r\n", self.method, self.target, self.host)).await;
        let mut answer = client.head().await.expect("an answer");
        if self.method != "HEAD" {
            client.answer_body(&mut answer).await.expect("a whole answer");
        }
        Seen { status: answer.status(), fields: answer.fields.clone(), body: answer.text().to_owned() }
    }

    async fn over_http2(&self, edge: &Edge) -> Seen {
        let mut request = http::Request::builder().method(self.method).uri(format!("http://{}{}", self.host, self.target));
        for (name, value) in &self.fields {
            request = request.header(*name, *value);
        }
        let answer = Http2::connect(edge).await.ask(request.body(()).unwrap(), b"").await.unwrap();
        let fields = answer.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        Seen { status: answer.status.as_u16(), fields: fields.collect(), body: answer.text().to_owned() }
    }

    /// Both versions, one after the other.
    async fn over_both(&self, edge: &Edge) -> [Seen; 2] {
        [self.over_http1(edge).await, self.over_http2(edge).await]
    }
}

fn pattern(written: &str) -> Pattern {
    Pattern::parse(written).unwrap()
}

fn on(written: &str, conditions: Conditions) -> Match {
    Match::new(None, written).unwrap().on(conditions)
}

fn rewriting(written: &str, rewrite: Rewrite) -> Route {
    let forward = Forward { rewrite: Some(rewrite.into()), ..Forward::to(0) };
    Route::of(on(written, Conditions::default()), Action::Forward(forward))
}

fn field(name: &'static str, value: &'static str) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static(name), HeaderValue::from_static(value))
}

/// An edge with a second upstream, after the first.
async fn with_second(change: impl FnOnce(&mut Plan), first: &Origin, second: &Origin) -> Edge {
    let endpoint = second.endpoint("second-1");
    let edge = Edge::over(
        |plan| {
            let config = UpstreamConfig { name: "second".to_owned(), ..plan.upstream.clone() };
            plan.others.push((config, vec![endpoint]));
            change(plan);
        },
        vec![first.endpoint("api-1")],
    );
    until("both to be ready", || edge.news.lock().unwrap().len() == 2).await;
    edge
}
