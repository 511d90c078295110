//! Stopping without losing a request.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use plimsoll_service::Error;

use crate::client::{Call, connect};
use crate::instance::{Instance, memory, until};
use crate::scripted_state::{Mode, Scripted};

#[tokio::test]
async fn a_slow_request_finishes_while_readiness_says_draining() {
    let state = Scripted::new().await;
    let mut instance = Instance::start(state.clone()).await;
    let session = instance.login("ada").await;
    let mut client = instance.client().await;
    state.set(Mode::Hanging);
    let slow = tokio::spawn(async move { client.send(Call::get("/me").cookie(&session)).await });
    state.until_waiting(1).await;
    instance.stop();
    until("readiness flips", async || instance.send(Call::get("/health/ready")).await.status == 503).await;
    let ready = instance.send(Call::get("/health/ready")).await;
    assert_eq!(ready.json()["status"], "draining");
    assert_eq!(ready.header("connection"), "close", "one request for each connection now");
    assert_eq!(instance.send(Call::get("/health/live")).await.status, 200, "nobody should restart it");
    assert_eq!(instance.send(Call::get("/whoami")).await.status, 200, "whoever did not notice yet is served");

    state.set(Mode::Working);
    let answer = slow.await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), "close");
    let listen = instance.listen.clone();
    instance.stopped().await.unwrap();
    assert!(connect(&listen).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_slow_http_2_request_finishes_too() {
    let state = Scripted::new().await;
    let mut instance = Instance::start(state.clone()).await;
    let session = instance.login("ada").await;
    let stream = TokioIo::new(connect(&instance.listen).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    state.set(Mode::Hanging);
    let request = Request::get(format!("http://{}/me", instance.listen)).header("cookie", format!("plimsoll_session={session}"));
    let slow = tokio::spawn(sender.send_request(request.body(Full::<Bytes>::default()).unwrap()));
    state.until_waiting(1).await;
    instance.stop();
    until("readiness flips", async || instance.send(Call::get("/health/ready")).await.status == 503).await;
    state.set(Mode::Working);
    assert_eq!(slow.await.unwrap().unwrap().status(), 200);
    instance.stopped().await.unwrap();
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_drain() {
    let mut instance = Instance::start(memory().await).await;
    let mut idle = instance.client().await;
    idle.send(Call::get("/whoami")).await;
    let silent = connect(&instance.listen).await.unwrap();
    instance.stop();
    instance.stopped().await.unwrap();
    idle.connection.await.unwrap().unwrap();
    drop(silent);
}

#[tokio::test]
async fn the_deadline_ends_a_drain_that_would_not() {
    let state = Scripted::new().await;
    let mut instance = Instance::with(state.clone(), |config| config.drain_deadline = Duration::from_millis(100)).await;
    let session = instance.login("ada").await;
    let mut client = instance.client().await;
    state.set(Mode::Hanging);
    let stuck = tokio::spawn(async move { client.try_send(Call::get("/me").cookie(&session)).await });
    state.until_waiting(1).await;
    instance.stop();
    let error = instance.stopped().await.unwrap_err();
    assert!(matches!(error, Error::DrainDeadline { connections: 1 }), "{error}");
    assert!(stuck.await.unwrap().is_err(), "cut off");
}
