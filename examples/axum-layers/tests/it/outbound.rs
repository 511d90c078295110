//! What stands between the shop and the service it depends on.

use std::time::{Duration, Instant};

use axum::http::StatusCode;

use crate::shop::Shop;
use crate::weather::{Mood, Weather};

const REQUESTS: u32 = 300;
/// As set in the app: a tenth of the requests, and ten.
const RETRIES_MAX: u32 = REQUESTS / 10 + 10;

#[tokio::test]
async fn a_dead_dependency_is_stood_in_for_and_left_alone() {
    let weather = Weather::dead().await;
    let shop = Shop::open(weather.address).await;
    for _ in 0..REQUESTS {
        let answer = shop.get("/weather", &[]).await;
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"unknown\n"[..]));
        assert_eq!(answer.headers["x-plimsoll-fallback"], "static");
    }
    let attempts = weather.log.asked();
    assert!(attempts >= 20, "so many failures are not chance: {attempts} attempts");
    assert!(attempts <= REQUESTS / 4, "the breaker is open: {attempts} attempts");
}

#[tokio::test]
async fn an_unreliable_dependency_is_asked_again_within_the_budget() {
    let weather = Weather::start(|number| if number % 10 < 3 { Mood::Unavailable } else { Mood::Sunny }).await;
    let shop = Shop::open(weather.address).await;
    let mut sunny = 0;
    for _ in 0..REQUESTS {
        let answer = shop.get("/weather", &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "the error of another service is none of ours");
        sunny += u32::from(answer.body == "sunny");
    }
    let attempts = weather.log.asked();
    assert!(attempts > REQUESTS && attempts <= REQUESTS + RETRIES_MAX, "{attempts} attempts");
    assert!(sunny > REQUESTS * 7 / 10, "{sunny} of {REQUESTS} got the weather, no more than without retries");
}

#[tokio::test]
async fn an_answer_that_hangs_is_overtaken_by_a_second_request() {
    const TAUGHT: u32 = 200;
    let weather = Weather::start(|number| if number == TAUGHT { Mood::Silent } else { Mood::Sunny }).await;
    let shop = Shop::open(weather.address).await;
    while weather.log.asked() < TAUGHT {
        shop.get("/weather", &[]).await;
    }
    let began = Instant::now();
    assert_eq!(shop.get("/weather", &[]).await.body, "sunny");
    // A retry would come after the second that an attempt may take.
    assert!(began.elapsed() < Duration::from_millis(700), "{:?}", began.elapsed());
    assert_eq!(weather.log.asked(), TAUGHT + 2);
}

#[tokio::test]
async fn a_callers_deadline_is_kept_and_passed_on() {
    let weather = Weather::start(|_| Mood::Silent).await;
    let shop = Shop::open(weather.address).await;
    let answer = shop.get("/weather", &[("x-request-timeout-ms", "150")]).await;
    assert_eq!((answer.status, answer.problem("type").as_str()), (StatusCode::GATEWAY_TIMEOUT, "urn:plimsoll:problem:deadline-passed"));
    let left_ms = weather.log.left_ms().expect("the weather service is told");
    assert!(left_ms <= 150, "{left_ms}");
}

#[tokio::test]
async fn impatient_callers_do_not_open_the_breaker_for_others() {
    let weather = Weather::start(|number| if number < 40 { Mood::Silent } else { Mood::Sunny }).await;
    let shop = Shop::open(weather.address).await;
    while weather.log.asked() < 40 {
        let answer = shop.get("/weather", &[("x-request-timeout-ms", "15")]).await;
        assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    }
    assert_eq!(shop.get("/weather", &[]).await.body, "sunny");
}
