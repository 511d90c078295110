//! The calls that need no session, and what is said where there is no call.

use plimsoll_policy::forwarded::TrustedProxies;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Call, connect};
use crate::instance::{Instance, memory};
use crate::scripted_state::{Mode, Scripted};

#[tokio::test]
async fn whoami_names_instance_version_and_process() {
    let answer = Instance::start(memory().await).await.send(Call::get("/whoami")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json(), json!({"instance": "api-1", "version": "1.2.3", "pid": std::process::id()}));
}

#[tokio::test]
async fn every_call_of_the_index_is_served() {
    let instance = Instance::start(memory().await).await;
    let index = instance.send(Call::get("/")).await.json();
    let calls = index["calls"].as_array().unwrap();
    assert!(calls.len() >= 6);
    for call in calls {
        let answer = instance.send(Call::new(call["method"].as_str().unwrap(), call["path"].as_str().unwrap())).await;
        assert!(![404, 405].contains(&answer.status.as_u16()), "{call}");
    }
}

#[tokio::test]
async fn the_probes_answer_three_questions() {
    let instance = Instance::start(memory().await).await;
    for (path, status) in [("/health/live", "live"), ("/health/startup", "started"), ("/health/ready", "ready")] {
        let answer = instance.send(Call::get(path)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["status"], status);
    }
    let ready = instance.send(Call::get("/health/ready")).await.json();
    assert_eq!(ready["dependencies"], json!([{"name": "state", "kind": "memory", "status": "up"}]));
    let summary = instance.send(Call::get("/health")).await.json();
    assert_eq!(summary["ready"], ready);
    assert_eq!(summary["live"]["status"], "live");
    assert_eq!(summary["startup"]["status"], "started");
}

#[tokio::test]
async fn what_is_not_served_is_a_problem() {
    let instance = Instance::start(memory().await).await;
    for path in ["/nothing", "/whoami/", "/health/x", "//", "/%00"] {
        instance.send(Call::get(path)).await.assert_problem(404, "not-found");
    }
    for (method, path, allow) in [("POST", "/whoami", "GET,HEAD"), ("GET", "/login", "POST"), ("PUT", "/logout", "POST,DELETE")] {
        let answer = instance.send(Call::new(method, path)).await;
        answer.assert_problem(405, "method-not-allowed");
        let (mut allowed, mut expected): (Vec<_>, Vec<_>) = (answer.header("allow").split(',').collect(), allow.split(',').collect());
        allowed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(allowed, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let instance = Instance::start(memory().await).await;
    // The same connection: a body sent to HEAD would be taken for the next answer.
    let mut client = instance.client().await;
    for path in ["/", "/whoami", "/health", "/health/ready", "/me", "/nothing", "/login"] {
        let get = client.send(Call::get(path)).await;
        let head = client.send(Call::new("HEAD", path)).await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
        assert!(head.body.is_empty());
    }
}

#[tokio::test]
async fn a_panic_is_a_problem_and_spoils_nothing() {
    let state = Scripted::new().await;
    let instance = Instance::start(state.clone()).await;
    let mut client = instance.client().await;
    let session = client.send(Call::login("ada")).await.session();
    state.set(Mode::Panicking);
    client.send(Call::get("/me").cookie(&session)).await.assert_problem(500, "internal");
    assert_eq!(instance.context.panics.total(), 1);
    state.set(Mode::Working);
    assert_eq!(client.send(Call::get("/me").cookie(&session)).await.status, 200, "on the same connection");
    let stats = client.send(Call::get("/stats")).await.json();
    assert_eq!(stats["requests"][1]["status"], 500, "the panic is recorded: {stats}");
}

#[tokio::test]
async fn a_request_id_from_the_gateway_is_kept_and_another_is_made_up() {
    let instance = Instance::start(memory().await).await;
    let kept = instance.send(Call::get("/nothing").header("x-request-id", "edge-1")).await;
    kept.assert_problem(404, "not-found");
    assert_eq!(kept.header("x-request-id"), "edge-1");
    let replaced = instance.send(Call::get("/whoami").header("x-request-id", "not an id")).await;
    assert_eq!(replaced.header("x-request-id").len(), 26);
    let stranger = Instance::with(memory().await, |config| config.trusted_proxies = TrustedProxies::default()).await;
    let replaced = stranger.send(Call::get("/whoami").header("x-request-id", "edge-1")).await;
    assert_ne!(replaced.header("x-request-id"), "edge-1");
}

#[tokio::test]
async fn strange_requests_are_refused_without_a_panic() {
    let instance = Instance::start(memory().await).await;
    for head in ["CONNECT localhost:80 HTTP/1.1", "OPTIONS * HTTP/1.1", "TRACE / HTTP/1.1", "ABCDEFGHIJKLMNOPQRSTUVWXYZ /me HTTP/1.1"] {
        let mut stream = connect(&instance.listen).await.unwrap();
        stream.write_all(format!("{head}\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 4"), "{head}: {answer}");
        assert!(answer.contains("application/problem+json"), "{head}: {answer}");
    }
    assert_eq!(instance.context.panics.total(), 0);
}
