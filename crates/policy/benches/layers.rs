//! What each layer costs a request: `cargo bench -p plimsoll-policy --bench layers`, on a machine that does nothing else.
//!
//! Nanoseconds from a request that is ready to an answer whose body has been read, around a service that answers at once, on one thread.
//! Short rounds in turns, so that a disturbance meets all rows alike; the table holds medians, and what a layer adds to nothing at all. Every
//! sample goes to standard error.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its figures")]

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Ready, poll_fn, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use plimsoll_policy::access_log::AccessLogLayer;
use plimsoll_policy::admission::{self, Admission, Ask, layer::AdmissionLayer};
use plimsoll_policy::breaker::{self, layer::BreakerLayer};
use plimsoll_policy::catch_panic::{CatchPanicLayer, PanicCount};
use plimsoll_policy::deadline::layer::{Deadline, DeadlineLayer};
use plimsoll_policy::deadline::outbound::PassOnDeadlineLayer;
use plimsoll_policy::fallback::{Prepared, layer::FallbackLayer};
use plimsoll_policy::forwarded::TrustedProxies;
use plimsoll_policy::hedge::{self, layer::HedgeLayer};
use plimsoll_policy::request_id::layer::RequestIdLayer;
use plimsoll_policy::respond::layer::{RespondLayer, pending};
use plimsoll_policy::retry::{self, layer::RetryLayer};
use plimsoll_policy::service_stack::service_stack;
use plimsoll_policy::{Peer, Reason, Refusal};
use tokio::time::Instant;
use tower::util::service_fn;
use tower::{Layer, Service};

const ROUNDS: usize = 21;
const REQUESTS: u32 = 20_000;
const TWO_SECONDS: Option<Duration> = Some(Duration::from_secs(2));

type Asked = Request<Full<Bytes>>;
type Answer = Result<Response<Full<Bytes>>, Infallible>;

/// A layer around something, and how to ask it [`REQUESTS`] times.
struct Row {
    name: &'static str,
    round: Box<dyn FnMut() -> f64>,
    samples: Vec<f64>,
}

fn main() {
    // As in production: spans are kept for whatever is logged, the events of requests that went well are not written.
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::sink).init();
    let deadline = DeadlineLayer::new(TWO_SECONDS);
    let inbound = || {
        let admission = AdmissionLayer::new(Admission::new(admission::Config::default()), |head: &http::request::Parts| Ask {
            deadline: head.extensions.get().map(|deadline: &Deadline| deadline.0),
            ..Ask::default()
        });
        (service_stack(TrustedProxies::default(), PanicCount::default()), deadline, admission)
    };
    let fallback = || {
        let empty = Prepared::new(StatusCode::OK, HeaderValue::from_static("text/plain"), Bytes::from_static(b"-"));
        FallbackLayer::new(empty.expect("a short text"))
    };
    let breaker = || BreakerLayer::new(breaker::Config::default());
    let retry = || RetryLayer::new(retry::Config::default());
    let hedge = || HedgeLayer::new(hedge::Config::default());
    let outbound = || (fallback(), breaker(), retry(), hedge(), deadline, PassOnDeadlineLayer);

    let mut rows = vec![
        row("nothing", quick()),
        row("request id", RequestIdLayer::new(Arc::default()).layer(quick())),
        row("access log", AccessLogLayer::new(Arc::default()).layer(quick())),
        row("respond", RespondLayer.layer(quick())),
        row("catch panic", CatchPanicLayer::new(PanicCount::default()).layer(quick())),
        row("deadline", deadline.layer(quick())),
        row("admission", inbound().2.layer(quick())),
        row("**inbound, all of them**", inbound().layer(quick())),
        row("fallback", fallback().layer(quick())),
        row("breaker", breaker().layer(quick())),
        row("retry", retry().layer(quick())),
        row("hedge", hedge().layer(quick())),
        row("passing the deadline on", PassOnDeadlineLayer.layer(quick())),
        row("**outbound, all of them**", outbound().layer(quick())),
        row("refused, with its problem written", RespondLayer.layer(service_fn(refuse))),
    ];
    eprintln!("round,layer,ns");
    for round in 1..=ROUNDS {
        for row in &mut rows {
            let sample = (row.round)();
            eprintln!("{round},\"{}\",{sample:.1}", row.name.trim_matches('*'));
            row.samples.push(sample);
        }
    }
    print(&mut rows);
}

fn quick() -> impl Service<Asked, Response = Response<Full<Bytes>>, Error = Infallible, Future = Ready<Answer>> + Clone {
    service_fn(|request: Asked| {
        black_box(request);
        ready(Ok(Response::new(Full::from("hello"))))
    })
}

fn refuse(_: Asked) -> Ready<Answer> {
    let refusal = Refusal::new(Reason::Overloaded, "more requests arrive than can be served in time");
    ready(Ok(pending(refusal.with_retry_after(Duration::from_secs(2)))))
}

fn row<S, R>(name: &'static str, service: S) -> Row
where
    S: Service<Asked, Response = Response<R>, Error: Debug> + Clone + 'static,
    R: Body<Error: Debug>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime for the bench");
    let round = move || {
        runtime.block_on(async {
            let started = Instant::now();
            for _ in 0..REQUESTS {
                // As a server does: a clone for each request, and the body read to its end.
                let mut service = service.clone();
                poll_fn(|context| service.poll_ready(context)).await.expect("always ready");
                let mut body = pin!(service.call(asked()).await.expect("an answer").into_body());
                while poll_fn(|context| body.as_mut().poll_frame(context)).await.is_some() {}
            }
            started.elapsed().as_nanos() as f64 / f64::from(REQUESTS)
        })
    };
    Row { name, round: Box::new(round), samples: Vec::with_capacity(ROUNDS) }
}

/// With what the layers look for.
fn asked() -> Asked {
    let mut request = Request::new(Full::default());
    request.headers_mut().insert("x-request-timeout-ms", HeaderValue::from_static("1500"));
    request.extensions_mut().insert(Peer::Unix);
    request.extensions_mut().insert(Deadline(Instant::now() + Duration::from_secs(1)));
    request
}

fn print(rows: &mut [Row]) {
    let median = |row: &mut Row| {
        row.samples.sort_by(f64::total_cmp);
        row.samples[ROUNDS / 2]
    };
    let nothing = median(&mut rows[0]);
    println!("| layer | ns per request | min–max | beyond nothing |\n|---|--:|--:|--:|");
    for row in rows {
        let median = median(row);
        let (min, max) = (row.samples[0], row.samples[ROUNDS - 1]);
        println!("| {} | {median:.0} | {min:.0}–{max:.0} | {:.0} |", row.name, median - nothing);
    }
}
