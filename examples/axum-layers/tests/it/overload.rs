//! More is asked of the shop than its database can do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::shop::{Answer, Shop};
use crate::weather::{Mood, Weather};

/// Three times what five connections can do at 20 ms a query.
const PER_SECOND: u32 = 750;
const BURST: Duration = Duration::from_secs(3);

/// Who asks for what in a burst; together what one tenant floods the shop with, and what must not suffer from it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Caller {
    Critical,
    QuietTenant,
    LoudTenant,
    /// Of the loud tenant, and says that its orders are critical.
    Claimant,
    Sheddable,
}

impl Caller {
    fn of(number: u32) -> Self {
        match number % 20 {
            0 | 10 => Self::Critical,
            5 => Self::QuietTenant,
            7 => Self::Claimant,
            1..=12 => Self::LoudTenant,
            _ => Self::Sheddable,
        }
    }

    async fn ask(self, shop: &Shop) -> Answer {
        match self {
            Self::Critical => shop.get("/checkout", &[]).await,
            Self::QuietTenant => shop.get("/orders", &[("x-tenant", "quiet")]).await,
            Self::LoudTenant => shop.get("/orders", &[("x-tenant", "loud")]).await,
            Self::Claimant => shop.get("/orders", &[("x-tenant", "loud"), ("x-request-priority", "critical")]).await,
            Self::Sheddable => shop.get("/suggestions", &[]).await,
        }
    }
}

async fn open() -> (Arc<Shop>, Weather) {
    let weather = Weather::start(|_| Mood::Sunny).await;
    (Arc::new(Shop::open(weather.address).await), weather)
}

/// Answers per second when never more is asked than the database has connections.
async fn capacity(shop: &Arc<Shop>) -> f64 {
    const EACH: u32 = 50;
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..5 {
        let shop = Arc::clone(shop);
        callers.spawn(async move {
            for _ in 0..EACH {
                assert_eq!(shop.get("/orders", &[]).await.status, StatusCode::OK);
            }
        });
    }
    callers.join_all().await;
    f64::from(5 * EACH) / began.elapsed().as_secs_f64()
}

/// By the clock, whatever the shop does; and how long it was until the last answer.
async fn burst(shop: &Arc<Shop>) -> (Vec<(Caller, Answer)>, Duration) {
    let began = Instant::now();
    let mut due = interval(Duration::from_secs(1) / PER_SECOND);
    let mut requests = JoinSet::new();
    for number in 0..PER_SECOND * BURST.as_secs() as u32 {
        due.tick().await;
        let (shop, caller) = (Arc::clone(shop), Caller::of(number));
        requests.spawn(async move { (caller, caller.ask(&shop).await) });
    }
    (requests.join_all().await, began.elapsed())
}

/// How many of these were served, of one.
fn share(answers: &[(Caller, Answer)], of: Caller) -> f64 {
    let of_caller = answers.iter().filter(|(caller, _)| *caller == of);
    of_caller.clone().filter(|(_, answer)| answer.status == StatusCode::OK).count() as f64 / of_caller.count() as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn three_times_what_it_can_do_is_answered_as_far_as_it_goes_and_refused_with_a_reason() {
    let (shop, _weather) = open().await;
    let capacity = capacity(&shop).await;
    let (answers, took) = burst(&shop).await;

    let refused = answers.iter().filter(|(_, answer)| answer.status != StatusCode::OK);
    for (caller, answer) in refused.clone() {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{caller:?} {answer:?}");
        assert_eq!(answer.problem("type"), "urn:plimsoll:problem:overloaded");
        assert_eq!(answer.problem("setting"), "AdmissionLayer::new", "there is no plimsoll.toml to look into");
        assert!(answer.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() >= 1);
        assert_eq!(answer.problem("request_id"), answer.headers["x-request-id"]);
    }
    let served = answers.len() - refused.count();
    let goodput = served as f64 / took.as_secs_f64();
    assert!(goodput >= 0.75 * capacity, "{goodput:.0}/s of {capacity:.0}/s");
    assert!(served < answers.len() / 2, "a third of them at the most: {served} of {}", answers.len());

    assert!(share(&answers, Caller::Critical) >= 1.0, "{}", share(&answers, Caller::Critical));
    assert!(share(&answers, Caller::QuietTenant) >= 0.95, "{}", share(&answers, Caller::QuietTenant));
    assert!(share(&answers, Caller::LoudTenant) < 0.8, "{}", share(&answers, Caller::LoudTenant));
    assert!(share(&answers, Caller::Claimant) < 0.9, "anybody may say so: {}", share(&answers, Caller::Claimant));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_may_say_that_a_request_matters_more_than_its_route() {
    let weather = Weather::start(|_| Mood::Sunny).await;
    let (answers, _) = burst(&Arc::new(Shop::open_behind_proxy(weather.address).await)).await;
    assert!(share(&answers, Caller::Claimant) >= 1.0, "{}", share(&answers, Caller::Claimant));
    assert!(share(&answers, Caller::LoudTenant) < 0.9, "or nothing was refused: {}", share(&answers, Caller::LoudTenant));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_need_the_database_does_not_wait_for_it() {
    let (shop, _weather) = open().await;
    let flood = tokio::spawn({
        let shop = Arc::clone(&shop);
        async move { burst(&shop).await }
    });
    while !flood.is_finished() {
        assert_eq!(shop.get("/hello", &[]).await.body, "hello");
        assert_eq!(shop.get("/nothing", &[]).await.problem("type"), "urn:plimsoll:problem:not-found");
    }
    flood.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_served_in_time_hears_so_at_once() {
    let (shop, _weather) = open().await;
    capacity(&shop).await;
    let answer = shop.get("/orders", &[("x-request-timeout-ms", "5")]).await;
    assert_eq!(answer.problem("type"), "urn:plimsoll:problem:deadline-unreachable", "a query takes 20 ms");
    assert_eq!(answer.problem("setting"), "x-request-timeout-ms");
    assert_eq!(shop.get("/orders", &[("x-request-timeout-ms", "1500")]).await.status, StatusCode::OK);
}
