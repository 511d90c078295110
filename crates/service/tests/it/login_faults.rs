//! Everything that can be wrong with the body of a login.

use serde_json::{Value, json};

use crate::client::{Call, connect};
use crate::instance::{Instance, memory};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn post(content_type: &str, body: &str) -> Call {
    Call::new("POST", "/login").header("content-type", content_type).body(body.to_owned())
}

/// The faults of a body that is JSON, as `pointer detail`.
async fn faults(instance: &Instance, body: &Value) -> Vec<String> {
    let answer = instance.send(Call::new("POST", "/login").json(body)).await;
    answer.assert_problem(422, "invalid-content");
    let problem = answer.json();
    let faults = problem["errors"].as_array().unwrap();
    faults.iter().map(|fault| format!("{} {}", fault["pointer"].as_str().unwrap(), fault["detail"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn every_fault_is_named_at_once_with_its_pointer() {
    let instance = Instance::start(memory().await).await;
    let found = faults(&instance, &json!({"username": format!("a\u{1b}{}", "b".repeat(64)), "password": "x", "a/b": 1})).await;
    assert_eq!(
        found,
        [
            "/username must have 1 to 64 characters, not 66",
            "/username must not contain control characters",
            "/a~1b is not a known field",
            "/password is not a known field",
        ]
    );
    assert_eq!(faults(&instance, &json!({"user": "ada"})).await, ["/username is missing", "/user is not a known field"]);
    for (username, fault) in [
        (json!(""), "must not be empty"),
        (json!(" \t"), "must not be empty"),
        (json!(7), "must be a string, not a number"),
        (json!(null), "must be a string, not null"),
        (json!(["ada"]), "must be a string, not an array"),
    ] {
        assert_eq!(faults(&instance, &json!({ "username": username })).await, [format!("/username {fault}")]);
    }
    for body in [json!("ada"), json!([]), json!(null), json!(1)] {
        assert!(faults(&instance, &body).await[0].starts_with(" must be an object, not "), "{body}");
    }
}

#[tokio::test]
async fn the_longest_username_is_64_characters_not_bytes() {
    let instance = Instance::start(memory().await).await;
    assert_eq!(instance.send(Call::login(&"ü".repeat(64))).await.status, 200);
    assert_eq!(instance.send(Call::login(&"ü".repeat(65))).await.status, 422);
}

#[tokio::test]
async fn malformed_json_is_400() {
    let instance = Instance::start(memory().await).await;
    for body in ["", "{", "{\"username\":\"ada\"} x", "{'username':'ada'}", &"[".repeat(60_000)] {
        instance.send(post("application/json", body)).await.assert_problem(400, "malformed-body");
    }
    let invalid_utf8 = Call::new("POST", "/login").header("content-type", "application/json").body(b"{\"username\":\"\xff\"}".to_vec());
    instance.send(invalid_utf8).await.assert_problem(400, "malformed-body");
}

#[tokio::test]
async fn only_json_is_read() {
    let instance = Instance::start(memory().await).await;
    let body = "{\"username\":\"ada\"}";
    for wrong in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json", ""] {
        instance.send(post(wrong, body)).await.assert_problem(415, "unsupported-media-type");
    }
    instance.send(Call::new("POST", "/login").body(body)).await.assert_problem(415, "unsupported-media-type");
    instance.send(post("application/json", body).header("content-encoding", "gzip")).await.assert_problem(415, "unsupported-media-type");
    for right in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"] {
        assert_eq!(instance.send(post(right, body)).await.status, 200, "{right}");
    }
}

#[tokio::test]
async fn a_body_beyond_64_kib_is_413() {
    let instance = Instance::start(memory().await).await;
    let padded = |length: usize| format!("{{\"username\":\"ada\"{}}}", " ".repeat(length - 18));
    assert_eq!(instance.send(post("application/json", &padded(64 * 1024))).await.status, 200);
    instance.send(post("application/json", &padded(64 * 1024 + 1))).await.assert_problem(413, "content-too-large");
}

/// Sends a head and what follows it by hand, and reads to the end.
async fn raw(instance: &Instance, request: &str) -> String {
    let mut stream = connect(&instance.listen).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The server may close with unread bytes of ours on the way; what it said before counts.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_declared_excess_is_refused_before_it_is_sent() {
    let instance = Instance::start(memory().await).await;
    let head = "POST /login HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\nexpect: 100-continue\r\n\r\n";
    let answer = raw(&instance, head).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn an_undeclared_excess_is_refused_where_it_begins() {
    let instance = Instance::start(memory().await).await;
    let head =
        "POST /login HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let answer = raw(&instance, &format!("{head}{chunk}1\r\n \r\n0\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}
