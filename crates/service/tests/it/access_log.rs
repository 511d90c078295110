//! What is found in the log about a request.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use crate::client::Call;
use crate::instance::{Instance, until};
use crate::scripted_state::{Mode, Scripted};

/// Log lines as JSON, kept in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// For this thread, on which the whole test runs.
    fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt().json().with_max_level(tracing::Level::DEBUG).with_writer(self.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn read(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap();
        bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    /// The access event of the request with this id, once it is written.
    async fn access(&self, request_id: &str) -> Value {
        let find = || self.read().into_iter().find(|line| line["target"] == "access" && line["fields"]["request.id"] == request_id);
        until("the access event", async || find().is_some()).await;
        find().unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn one_event_per_request_with_the_pattern_and_the_reason() {
    let lines = Lines::default();
    let _guard = lines.capture();
    let instance = Instance::start(Scripted::new().await).await;
    let call = || Call::get("/me?token=geheim").header("x-forwarded-for", "203.0.113.9").cookie("geheim");
    let answer = instance.send(call().header("x-request-id", "edge-1")).await;
    let event = lines.access("edge-1").await;
    let fields = &event["fields"];
    assert_eq!(event["level"], "INFO");
    assert_eq!(fields["message"], "GET /me 401");
    assert_eq!(event["span"]["instance.id"], "api-1");
    assert_eq!(fields["http.route"], "/me");
    assert_eq!(fields["client.ip"], "203.0.113.9");
    assert_eq!(fields["policy.refused_by"], "session-missing");
    assert_eq!(fields["bytes_out"], answer.body.len());
    assert!(!lines.read().iter().any(|line| line.to_string().contains("geheim")), "neither query nor cookie is logged");

    instance.send(Call::get("/random/path").header("x-request-id", "edge-2")).await;
    let event = lines.access("edge-2").await;
    assert!(event["fields"].get("http.route").is_none(), "a raw path is no route: {event}");
}

#[tokio::test]
async fn a_panic_is_logged_under_its_request_id_and_route() {
    let lines = Lines::default();
    let _guard = lines.capture();
    let state = Scripted::new().await;
    let instance = Instance::start(state.clone()).await;
    let session = instance.login("ada").await;
    state.set(Mode::Panicking);
    instance.send(Call::get("/me").cookie(&session).header("x-request-id", "edge-1")).await;
    let event = lines.access("edge-1").await;
    assert_eq!(event["level"], "ERROR");
    assert_eq!(event["fields"]["message"], "GET /me 500");
    let panic = lines.read().into_iter().find(|line| line["fields"]["message"] == "a handler panicked: scripted").unwrap();
    assert_eq!(panic["span"]["request.id"], "edge-1");
    assert_eq!(panic["level"], "ERROR");
}

#[tokio::test]
async fn the_work_for_a_client_that_left_is_given_up_and_logged() {
    let lines = Lines::default();
    let _guard = lines.capture();
    let state = Scripted::new().await;
    let instance = Instance::start(state.clone()).await;
    let session = instance.login("ada").await;
    state.set(Mode::Hanging);
    let mut client = instance.client().await;
    let asking = tokio::spawn(async move { client.try_send(Call::get("/me").cookie(&session).header("x-request-id", "edge-1")).await });
    state.until_waiting(1).await;
    asking.abort();
    assert_eq!(lines.access("edge-1").await["fields"]["message"], "GET /me unanswered: the client left");
}
