//! A shop that wears Plimsoll's policies as tower layers: what the edge decides, decided inside an axum app.
//!
//! Copy what you need. Outermost stands first everywhere, and `.layer` wraps only what was added above it.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Extension, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::Response;
use axum::{Router, routing::get};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use plimsoll_policy::access_log::MatchedRoute;
use plimsoll_policy::admission::{self, Admission, Ask, layer::AdmissionLayer};
use plimsoll_policy::breaker::{self, layer::BreakerLayer};
use plimsoll_policy::catch_panic::PanicCount;
use plimsoll_policy::deadline::layer::{Deadline, DeadlineBody, DeadlineLayer};
use plimsoll_policy::deadline::outbound::PassOnDeadlineLayer;
use plimsoll_policy::fallback::{self, layer::FallbackLayer};
use plimsoll_policy::forwarded::TrustedProxies;
use plimsoll_policy::hedge::{self, layer::HedgeLayer};
use plimsoll_policy::priority::{self, Priority};
use plimsoll_policy::respond::layer::pending;
use plimsoll_policy::retry::{self, layer::RetryLayer};
use plimsoll_policy::service_stack::service_stack;
use plimsoll_policy::{Peer, Reason, Refusal, RequestId, budget};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tower::util::{BoxCloneSyncService, MapRequestLayer, MapResponseLayer};
use tower::{Layer, ServiceExt};

/// The longest a request may take here, and one attempt at the weather service.
const REQUEST_MAX: Duration = Duration::from_secs(2);
const ATTEMPT_MAX: Duration = Duration::from_secs(1);
/// Five connections, 20 ms each: the shop can do 250 queries a second, whatever anybody wants.
const CONNECTIONS: usize = 5;
const QUERY: Duration = Duration::from_millis(20);

type Outbound = BoxCloneSyncService<Request<Full<Bytes>>, Response, legacy::Error>;

#[derive(Clone)]
struct Shop {
    connections: Arc<Semaphore>,
    outbound: Outbound,
    weather: Uri,
}

/// The app. `weather` is the service it depends on; `trusted` are the proxies in front of it, if there are any.
pub fn app(weather: Uri, trusted: TrustedProxies) -> Result<Router, fallback::Error> {
    let shop = Shop { connections: Arc::new(Semaphore::new(CONNECTIONS)), outbound: outbound()?, weather };
    let database = AdmissionLayer::new(Admission::new(admission::Config::default()), ask(trusted.clone()));
    Ok(Router::new()
        .route("/checkout", get(query))
        .route("/orders", get(query))
        .route("/suggestions", get(query))
        // One gate for what shares one bottleneck: its state lives in the layer, so the three routes share it. The rest never waits for it.
        .layer(database)
        .route("/hello", get(async || "hello"))
        .route("/weather", get(weather_of_today))
        .fallback(async || {
            pending::<Body>(Refusal::new(Reason::NotFound, "there are /hello, /orders, /checkout, /suggestions and /weather"))
        })
        .with_state(shop)
        .layer((
            // Who is at the other end: first, because whose word counts depends on it.
            MapRequestLayer::new(note_origin),
            // Request id, then access log, then the writing of refusals, then panics: whatever is refused further in becomes a problem that
            // names its request, and is logged as the client got it.
            service_stack(trusted, PanicCount::default()),
            // The route's pattern, for the access log: inside of it, outside of all that may refuse.
            MapRequestLayer::new(note_route),
            // Outside of admission, so that the time in the queue counts and the queue knows who cannot be served in time.
            DeadlineLayer::new(Some(REQUEST_MAX)),
        )))
}

/// The client for other services: how long, how often and how much it may ask.
fn outbound() -> Result<Outbound, fallback::Error> {
    let unknown = fallback::Prepared::new(StatusCode::OK, HeaderValue::from_static("text/plain"), Bytes::from_static(b"unknown\n"))?;
    // One dependency without spare instances: a bad second is reason enough, where a fleet would wait whether the other instances take over.
    let breaker = breaker::Config { steady: false, ..breaker::Config::default() };
    // The default reserve covers what is in flight at a dying instance of a fleet; here a few requests are.
    let budget = budget::Config { reserve: 10, ..budget::Config::RETRY };
    // Sooner than this nobody would notice the difference.
    let hedge = hedge::Config { delay_min: Duration::from_millis(50), ..hedge::Config::default() };
    let layers = (
        MapResponseLayer::new(into_body::<DeadlineBody<Body>>),
        // Outside of all that may refuse or fail, so that there is one other answer for everything.
        // An error page of theirs is no answer of ours.
        FallbackLayer::new(unknown).on_status(StatusCode::is_server_error),
        // Outside of the retries: it counts what they could not mend, and while it is open nothing is tried at all.
        BreakerLayer::new(breaker),
        // Outside of the hedge: a retry comes after a failure, and both attempts of a race are one failure.
        RetryLayer::new(retry::Config { budget, ..retry::Config::default() }),
        HedgeLayer::new(hedge),
        // For each attempt, so that one that hangs leaves time for another. Never longer than the request itself has.
        DeadlineLayer::new(Some(ATTEMPT_MAX)),
        // Innermost, so that every attempt says what is left by then.
        PassOnDeadlineLayer,
        // A refusal needs a body that can be made from bytes, and the client's cannot.
        MapResponseLayer::new(into_body::<Incoming>),
    );
    let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build_http::<Full<Bytes>>();
    Ok(BoxCloneSyncService::new(layers.layer(client)))
}

/// How much a request matters, for whom it is made, until when it is of use.
fn ask(trusted: TrustedProxies) -> impl Fn(&Parts) -> Ask + Clone {
    let (trusted, tenants) = (Arc::new(trusted), RandomState::new());
    move |head| {
        let priority = match head.uri.path() {
            "/checkout" => Priority::Critical,
            "/suggestions" => Priority::Sheddable,
            _ => Priority::Normal,
        };
        // Anybody may ask for less; only a trusted proxy may say that a request matters more than its route.
        let claim = head.headers.get(priority::HEADER).and_then(|value| Priority::parse(value.as_bytes()));
        let is_trusted = head.extensions.get::<Peer>().is_some_and(|peer| peer.is_trusted(&trusted));
        // Whatever names a customer that cannot be made up: the subject of a token, an API key that was checked. 0 is nobody in particular.
        let tenant = head.headers.get("x-tenant").map_or(0, |name| tenants.hash_one(name.as_bytes()));
        let deadline = head.extensions.get::<Deadline>().map(|deadline| deadline.0);
        Ask { priority: priority.claimed(claim, is_trusted), tenant, deadline, ..Ask::default() }
    }
}

async fn query(State(shop): State<Shop>) -> &'static str {
    let _connection = shop.connections.acquire().await.expect("the semaphore is never closed");
    sleep(QUERY).await;
    "done"
}

async fn weather_of_today(
    State(shop): State<Shop>,
    Extension(id): Extension<RequestId>,
    deadline: Option<Extension<Deadline>>,
) -> Response {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = shop.weather;
    request.headers_mut().insert("x-request-id", HeaderValue::from_str(id.as_str()).expect("ids are visible ASCII"));
    // Retries keep to it, attempts end at it, the weather service is told.
    if let Some(Extension(deadline)) = deadline {
        request.extensions_mut().insert(deadline);
    }
    shop.outbound.oneshot(request).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "no weather");
        pending(Refusal::new(Reason::UpstreamFailed, "the weather is not to be had"))
    })
}

fn into_body<B>(response: Response<B>) -> Response
where
    B: hyper::body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    response.map(Body::new)
}

fn note_origin(mut request: Request) -> Request {
    if let Some(ConnectInfo(address)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() {
        request.extensions_mut().insert(Peer::Tcp(address));
    }
    request
}

fn note_route(request: Request) -> Request {
    if let (Some(note), Some(matched)) = (request.extensions().get::<MatchedRoute>(), request.extensions().get::<MatchedPath>()) {
        note.set(matched.as_str());
    }
    request
}
