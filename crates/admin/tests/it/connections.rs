//! What a connection may cost.

use std::time::Duration;

use plimsoll_admin::{Config, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{DEADLINE, get, request};
use crate::fixture::{Admin, Fleet, quick};

#[tokio::test]
async fn whoever_says_nothing_is_hung_up_on() {
    let config = Config { limits: Limits { head_time_max: Duration::from_millis(200), ..quick().limits }, ..Config::default() };
    let admin = Admin::start(&Fleet::new(1), config).await;
    let half_a_head = "GET / HTTP/1.1\r\nHost: local";
    let idle_after_one = request("GET", "/health/live", &[], "keep-alive");
    for sent in ["", half_a_head, &idle_after_one] {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("the connection is closed").unwrap();
    }
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_for_a_place() {
    let config = Config { limits: Limits { connections_max: 2, ..quick().limits }, ..Config::default() };
    let admin = Admin::start(&Fleet::new(1), config).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        stream.write_all(request("GET", "/health/live", &[], "keep-alive").as_bytes()).await.unwrap();
        assert!(stream.read(&mut [0; 512]).await.unwrap() > 0);
        held.push(stream);
    }
    let address = admin.address;
    let mut waiting = tokio::spawn(async move { get(address, "/health/live", &[]).await.status });
    assert!(timeout(Duration::from_millis(300), &mut waiting).await.is_err(), "answered beyond the cap");
    held.pop();
    assert_eq!(waiting.await.unwrap(), 200);
}
