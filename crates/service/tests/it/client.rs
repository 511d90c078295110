//! A client that shows everything: one connection, requests in order, answers as they are.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use plimsoll_service::Listen;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;

pub(crate) type Stream = Either<TcpStream, UnixStream>;

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn connect(listen: &Listen) -> std::io::Result<Stream> {
    match listen {
        Listen::Tcp(address) => TcpStream::connect(address).await.map(Either::Left),
        Listen::Unix(path) => UnixStream::connect(path).await.map(Either::Right),
    }
}

/// A kept connection.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    pub(crate) connection: tokio::task::JoinHandle<hyper::Result<()>>,
}

impl Client {
    pub(crate) async fn open(listen: &Listen) -> Self {
        let stream = connect(listen).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        Self { sender, connection: tokio::spawn(connection) }
    }

    pub(crate) async fn send(&mut self, call: Call) -> Answer {
        self.try_send(call).await.unwrap()
    }

    pub(crate) async fn try_send(&mut self, call: Call) -> hyper::Result<Answer> {
        self.sender.ready().await?;
        let response = tokio::time::timeout(PATIENCE, self.sender.send_request(call.0)).await.expect("an answer in time")?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

/// One request.
pub(crate) struct Call(pub(crate) Request<Full<Bytes>>);

impl Call {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self(Request::builder().method(method).uri(path).header("host", "api.test").body(Full::default()).unwrap())
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn login(username: &str) -> Self {
        Self::new("POST", "/login").json(&serde_json::json!({ "username": username }))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().insert(name, value.parse().unwrap());
        self
    }

    pub(crate) fn cookie(self, sealed: &str) -> Self {
        self.header("cookie", &format!("plimsoll_session={sealed}"))
    }

    pub(crate) fn body(self, body: impl Into<Bytes>) -> Self {
        Self(self.0.map(|_| Full::new(body.into())))
    }
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The value of the session cookie that was set.
    pub(crate) fn session(&self) -> String {
        let cookie = self.header("set-cookie").strip_prefix("plimsoll_session=").unwrap_or_else(|| panic!("no cookie: {self:?}"));
        cookie.split(';').next().unwrap().to_owned()
    }

    /// Asserts everything that every error promises.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, slug: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["type"], format!("urn:plimsoll:problem:{slug}"));
        assert_eq!(problem["status"], status);
        assert!(!self.header("x-request-id").is_empty());
        assert_eq!(problem["request_id"], self.header("x-request-id"));
    }
}
