//! The sender that speaks cleartext HTTP/2: the same requests on streams of one connection at a time.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};

use super::{Mix, REQUESTS_PER_CONNECTION, Schedule};
use crate::fleet::PATIENCE;
use crate::http::{Answer, Request};

type Connection = SendRequest<Empty<Bytes>>;

pub(super) fn send(port: u16, mix: &Mix, schedule: Schedule) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(send_all(port, mix, schedule));
}

async fn send_all(port: u16, mix: &Mix, mut schedule: Schedule) {
    let mut connection = None;
    let mut turns = mix.requests.iter().cycle().enumerate();
    while let (Some(at), Some((turn, request))) = (schedule.advance(), turns.next()) {
        sleep_until(at.into()).await;
        if turn % REQUESTS_PER_CONNECTION == 0 {
            connection = None;
        }
        let outcome = timeout(PATIENCE, ask(port, &mut connection, request, mix)).await;
        schedule.note(request, &outcome.context("no answer in time").and_then(|outcome| outcome));
    }
}

async fn ask(port: u16, connection: &mut Option<Connection>, request: &Request, mix: &Mix) -> Result<Answer> {
    let connection = match connection {
        Some(connection) => connection,
        none => none.insert(connect(port).await?),
    };
    connection.ready().await?;
    let uri = format!("http://localhost:{port}{}", request.target);
    let mut head = http::Request::builder().method(request.method).uri(uri);
    if let Some(session) = &mix.session {
        head = head.header("cookie", format!("plimsoll_session={session}"));
    }
    let response = connection.send_request(head.body(Empty::new())?).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Answer::of(status, body.to_vec()))
}

async fn connect(port: u16) -> Result<Connection> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    // Ends with the sender; an error reaches whoever waits for an answer.
    tokio::spawn(connection);
    Ok(sender)
}
