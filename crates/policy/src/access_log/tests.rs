use std::convert::Infallible;
use std::io;
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::Value;
use tower::{ServiceExt, service_fn};
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::respond::{Reason, layer::pending};

/// Log lines as JSON, kept in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt().json().with_max_level(Level::DEBUG).with_writer(self.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn read(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap();
        bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).unwrap()).collect()
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

fn request() -> Request<Full<Bytes>> {
    let mut request = Request::builder().method("POST").uri("/users/7?secret=1").body(Full::from("four")).unwrap();
    request.extensions_mut().insert(RequestId::parse(b"id-1").unwrap());
    request.extensions_mut().insert(Peer::Tcp("203.0.113.9:80".parse().unwrap()));
    request
}

/// Serves one request with `respond`, reads the body unless the client `leaves`, and gives back the log lines.
async fn lines(leaves: bool, respond: fn() -> Response<Full<Bytes>>) -> Vec<Value> {
    let lines = Lines::default();
    let _guard = lines.capture();
    let service = service_fn(move |request: Request<Full<Bytes>>| async move {
        request.extensions().get::<MatchedRoute>().unwrap().set("/users/{id}");
        tracing::info!("inside");
        Ok::<_, Infallible>(respond())
    });
    let layer = AccessLogLayer::new(Arc::default());
    let response = layer.layer(service).oneshot(request()).await.unwrap();
    assert_eq!(lines.read().len(), 1, "the event waits for the body");
    if leaves {
        drop(response);
    } else {
        response.into_body().collect().await.unwrap();
    }
    lines.read()
}

#[tokio::test]
async fn a_flood_of_refusals_leaves_a_few_lines_and_none_is_lost_from_the_count() {
    let lines = Lines::default();
    let _guard = lines.capture();
    let full = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, Infallible>(pending::<Full<Bytes>>(Refusal::new(Reason::Overloaded, "no room")))
    });
    let service = AccessLogLayer::new(Arc::default()).layer(full);
    for _ in 0..5_000 {
        let response = service.clone().oneshot(Request::default()).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    // Ten for each second that the flood took.
    assert!((10..=200).contains(&lines.read().len()), "{} lines", lines.read().len());
}

#[test]
fn times_are_written_with_three_places_at_most() {
    for micros in (0..5_000_000).step_by(997) {
        let time = Duration::from_micros(micros) + Duration::from_nanos(micros % 1_000);
        let text = milliseconds(time).to_string();
        assert!(text.split_once('.').is_none_or(|(_, places)| places.len() <= 3), "{time:?} is written {text}");
        assert!((milliseconds(time) - time.as_secs_f64() * 1e3).abs() < 0.001, "{time:?} is written {text}");
    }
}

#[tokio::test]
async fn an_event_has_every_field_and_the_pattern_instead_of_the_path() {
    let lines = lines(false, || Response::new(Full::from("hello"))).await;
    let fields = &lines[1]["fields"];
    assert_eq!(lines[1]["level"], "DEBUG");
    assert_eq!(lines[1]["target"], "access");
    assert_eq!(fields["message"], "POST /users/{id} 200");
    assert_eq!(fields["request.id"], "id-1");
    assert_eq!(fields["http.method"], "POST");
    assert_eq!(fields["http.route"], "/users/{id}");
    assert_eq!(fields["http.status"], 200);
    assert_eq!(fields["client.ip"], "203.0.113.9");
    assert_eq!(fields["bytes_in"], 4);
    assert_eq!(fields["bytes_out"], 5);
    assert!(fields["duration_ms"].is_f64());
    assert!(fields.get("policy.refused_by").is_none());
    assert!(!lines[1].to_string().contains("secret"));
}

#[tokio::test]
async fn lines_written_while_serving_carry_the_request_id() {
    let lines = lines(false, || Response::new(Full::from("hello"))).await;
    assert_eq!(lines[0]["fields"]["message"], "inside");
    assert_eq!(lines[0]["span"]["request.id"], "id-1");
}

#[tokio::test]
async fn the_level_follows_the_status_and_a_refusal_is_named() {
    for (reason, level) in [(Reason::Internal, "ERROR"), (Reason::StateUnavailable, "WARN"), (Reason::NotFound, "INFO")] {
        let respond = match reason {
            Reason::Internal => || pending(Refusal::new(Reason::Internal, "")),
            Reason::StateUnavailable => || pending(Refusal::new(Reason::StateUnavailable, "")),
            _ => || pending(Refusal::new(Reason::NotFound, "")),
        };
        let lines = lines(false, respond).await;
        assert_eq!(lines[1]["level"], level);
        assert_eq!(lines[1]["fields"]["policy.refused_by"], reason.slug());
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_told_apart_from_one_that_got_everything() {
    let lines = lines(true, || Response::new(Full::from("hello"))).await;
    assert_eq!(lines[1]["fields"]["message"], "POST /users/{id} 200, cut off: the client left");
    assert_eq!(lines[1]["fields"]["bytes_out"], 0);
}

#[tokio::test]
async fn a_request_dropped_before_its_answer_is_logged_too() {
    let lines = Lines::default();
    let _guard = lines.capture();
    let service = service_fn(|_: Request<Full<Bytes>>| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>());
    drop(AccessLogLayer::new(Arc::default()).layer(service).oneshot(request()).now_or_never());
    assert_eq!(lines.read()[0]["fields"]["message"], "POST (no route) unanswered: the client left");
}

#[test]
fn a_method_of_the_clients_choice_is_cut() {
    let method = Method::from_bytes(&[b'X'; 500]).unwrap();
    assert_eq!(method_name(&method).len(), METHOD_LENGTH_MAX);
}

/// What is said of an answer whose body is dropped after so many frames, as servers do that stop asking once they have sent what was announced.
async fn summary(method: Method, frames: usize) -> String {
    let lines = Lines::default();
    let _guard = lines.capture();
    let file = service_fn(|_: Request<Full<Bytes>>| async {
        let pieces = ["hello ", "world"].map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from(piece))));
        Response::builder().header("content-length", 11).body(StreamBody::new(stream::iter(pieces)))
    });
    let request = Request::builder().method(method).body(Full::default()).unwrap();
    let mut body = AccessLogLayer::new(Arc::default()).layer(file).oneshot(request).await.unwrap().into_body();
    for _ in 0..frames {
        body.frame().await.unwrap().unwrap();
    }
    drop(body);
    lines.read()[0]["fields"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_answer_that_is_out_as_announced_is_not_cut_off() {
    assert_eq!(summary(Method::GET, 2).await, "GET (no route) 200");
    assert_eq!(summary(Method::GET, 1).await, "GET (no route) 200, cut off: the client left");
    assert_eq!(summary(Method::HEAD, 0).await, "HEAD (no route) 200");
}
