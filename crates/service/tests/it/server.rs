//! The listening socket and the bounds of connections.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use plimsoll_service::{Config, Error, Listen, Server, SessionKeys};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Call, PATIENCE, connect};
use crate::instance::{Instance, SECRET, memory, until};

#[tokio::test]
async fn serves_a_unix_socket_that_only_its_user_may_open() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("api.sock");
    // A process that was killed left this behind: a file nobody answers at.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut instance = Instance::with(memory().await, |config| config.listen = Listen::Unix(path.clone())).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let answer = instance.send(Call::login("ada").header("x-forwarded-proto", "https").header("x-request-id", "edge-1")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("set-cookie").contains("; Secure"), "whoever may open the socket is trusted");
    assert_eq!(answer.header("x-request-id"), "edge-1");
    instance.stop();
    instance.stopped().await.unwrap();
    assert!(!path.exists());
}

async fn bind_error(listen: Listen) -> Error {
    let config = Config::new("api-1", "1", listen, memory().await, SessionKeys::new(&[SECRET]).unwrap());
    Server::bind(&config).await.err().unwrap()
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_and_stays_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("api.sock");
    let instance = Instance::with(memory().await, |config| config.listen = Listen::Unix(socket.clone())).await;
    assert!(matches!(bind_error(Listen::Unix(socket)).await, Error::SocketInUse { .. }));
    assert_eq!(instance.send(Call::get("/whoami")).await.status, 200);

    let file = directory.path().join("notes.txt");
    std::fs::write(&file, "precious").unwrap();
    assert!(matches!(bind_error(Listen::Unix(file.clone())).await, Error::NotASocket { .. }));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "precious");

    let tcp = Instance::start(memory().await).await;
    let error = bind_error(tcp.listen.clone()).await;
    assert_eq!(error.to_string(), format!("cannot listen on {}", tcp.listen));
}

#[tokio::test]
async fn speaks_cleartext_http_2() {
    let instance = Instance::start(memory().await).await;
    let stream = TokioIo::new(connect(&instance.listen).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let uri = format!("http://{}/whoami", instance.listen);
    let response = sender.send_request(Request::get(uri).body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(response.status(), 200);
    assert!(!response.into_body().collect().await.unwrap().to_bytes().is_empty());
    connection.abort();
}

#[tokio::test]
async fn a_connection_that_sends_no_head_in_time_is_closed() {
    let instance = Instance::with(memory().await, |config| config.limits.first_head = Duration::from_millis(50)).await;
    for beginning in ["", "G", "GET /whoami HTTP/1.1\r\nhost: x\r\n", "PRI * HTTP/2.0\r\n"] {
        let mut stream = connect(&instance.listen).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "still open after {beginning:?}");
    }
    // One that has sent one is kept beyond that time.
    let mut client = instance.client().await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(150) {
        assert_eq!(client.send(Call::get("/whoami")).await.status, 200);
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let instance = Instance::with(memory().await, |config| config.limits.idle = Duration::from_millis(50)).await;
    let mut client = instance.client().await;
    client.send(Call::get("/whoami")).await;
    tokio::time::timeout(PATIENCE, client.connection).await.expect("closed").unwrap().unwrap();
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_for_their_turn() {
    let instance = Instance::with(memory().await, |config| config.limits.connections_max = 1).await;
    let mut first = instance.client().await;
    first.send(Call::get("/whoami")).await;
    let mut second = instance.client().await;
    let waiting = tokio::spawn(async move { second.send(Call::get("/whoami")).await.status });
    assert_eq!(first.send(Call::get("/whoami")).await.status, 200);
    assert!(!waiting.is_finished());
    drop(first);
    until("the second is served", async || waiting.is_finished()).await;
    assert_eq!(waiting.await.unwrap(), 200);
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let instance = Instance::with(memory().await, |config| config.limits.head_bytes_max = 8 * 1024).await;
    let mut stream = connect(&instance.listen).await.unwrap();
    let head = format!("GET /whoami HTTP/1.1\r\nhost: x\r\nx: {}", "x".repeat(9 * 1024));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
}
