//! The dashboard in a real browser.

use std::time::Duration;

use plimsoll_admin::{Config, Limits};
use plimsoll_telemetry::snapshot::LoadLineSnapshot;
use plimsoll_telemetry::{Histogram, InstanceState};
use plimsoll_testbed::browser::Browser;
use plimsoll_testbed::poll::until_blocking;

use crate::client::DEADLINE;
use crate::fixture::{Admin, Fleet, quick, ready};

/// Would run if any text of a fleet were taken for HTML.
const HOSTILE: &str = "<img src=x onerror=document.title='owned'>";

fn wait_for(browser: &Browser, css: &str, text: &str) {
    let seen = || Ok(browser.text(css)?.filter(|seen| seen == text));
    until_blocking(DEADLINE, &format!("{css} to read `{text}`"), seen).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shows_a_fleet_live_and_says_when_it_no_longer_can() {
    let fleet = Fleet::new(3);
    fleet.change(|snapshot| snapshot.instances[2].address = HOSTILE.into());
    let admin = Admin::start(&fleet, quick()).await;
    let browser = Browser::start().unwrap();
    browser.open(&format!("http://{}/", admin.address)).unwrap();

    wait_for(&browser, "#connection", "Live");
    wait_for(&browser, "[data-instance=\"api-1\"] [data-field=\"state\"]", "ready");
    assert_eq!(browser.texts("#instances tr").unwrap().len(), 3);
    assert_eq!(browser.text("[data-instance=\"api-3\"] [data-field=\"address\"]").unwrap().as_deref(), Some(HOSTILE));
    assert_eq!(browser.text("#p99").unwrap().as_deref(), Some("–"), "nothing was measured yet");

    let latency = Histogram::default();
    latency.record(Duration::from_millis(20));
    fleet.change(|snapshot| {
        snapshot.edge.latency = latency.counts();
        snapshot.edge.responses_total[1] = 10_000;
    });
    wait_for(&browser, "#p99", "20");
    let moved = || Ok(browser.text("#request-rate")?.filter(|rate| rate != "0" && rate != "–"));
    until_blocking(DEADLINE, "a request rate", moved).unwrap();

    fleet.change(|snapshot| snapshot.instances[1].state = InstanceState::Backoff);
    wait_for(&browser, "[data-instance=\"api-2\"] [data-field=\"state\"]", "backoff");
    until_blocking(DEADLINE, "an event", || Ok((browser.texts("[data-event=\"api-2\"]")?.len() == 1).then_some(()))).unwrap();

    fleet.change(|snapshot| snapshot.instances.push(ready("api-4")));
    wait_for(&browser, "[data-instance=\"api-4\"] [data-field=\"state\"]", "ready");
    fleet.change(|snapshot| snapshot.instances.clear());
    until_blocking(DEADLINE, "an empty table", || Ok(browser.texts("#instances tr")?.is_empty().then_some(()))).unwrap();

    admin.stop().await.unwrap();
    wait_for(&browser, "#connection", "Connection lost, retrying…");
    assert_eq!(browser.attribute("body", "data-connection").unwrap().as_deref(), Some("lost"));
    let title = browser.eval("return document.title").unwrap();
    assert_ne!(title, "owned");
}

/// A pool that is trusted with 12 requests at once.
fn app(overloaded: bool, shed_total: [[u64; 4]; 3]) -> LoadLineSnapshot {
    let in_flight = if overloaded { 12 } else { 3 };
    LoadLineSnapshot {
        upstream: "app".into(),
        limit: 12,
        in_flight,
        waiting: [0, 5, 0],
        drain_per_second: 250.0,
        overloaded,
        shed_total,
        ..LoadLineSnapshot::default()
    }
}

fn wait_until(browser: &Browser, what: &str, css: &str, is_so: impl Fn(&str) -> bool) {
    let seen = || Ok(browser.text(css)?.filter(|text| is_so(text)));
    if let Err(error) = until_blocking(DEADLINE, what, seen) {
        panic!("{error:#}: {css} reads {:?}", browser.text(css).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tells_an_overload_apart_from_errors_and_who_paid_for_it() {
    let fleet = Fleet::new(1);
    let quiet = LoadLineSnapshot { upstream: "reports".into(), limit: 20, ..LoadLineSnapshot::default() };
    fleet.change(|snapshot| snapshot.load_lines = vec![quiet, app(false, [[0; 4]; 3])]);
    // Rates over ten seconds, as they are for a person: quicker looks would cover less, and a slow browser would miss them.
    let limits = Limits { sample_interval: Duration::from_millis(200), ..Limits::default() };
    let admin = Admin::start(&fleet, Config { limits, ..Config::default() }).await;
    let browser = Browser::start().unwrap();
    browser.open(&format!("http://{}/", admin.address)).unwrap();
    wait_for(&browser, "[data-line=\"app\"] .badge", "calm");
    wait_for(&browser, "[data-line=\"app\"] [data-field=\"at_work\"]", "3 of 12");

    fleet.change(|snapshot| {
        snapshot.load_lines[1] = app(true, [[0; 4], [40, 0, 0, 0], [900, 0, 60, 0]]);
        snapshot.edge.responses_total = [0, 2_000, 0, 0, 1_000];
        snapshot.edge.shed_total = 1_000;
        snapshot.edge.refusals_total = vec![("overloaded".into(), 1_000)];
        snapshot.edge.hedges_total = 70;
        snapshot.edge.hedges_won_total = 21;
        snapshot.edge.fallbacks_total = 9;
    });
    wait_for(&browser, "[data-line=\"app\"] .badge", "overloaded");
    wait_for(&browser, "#load-title", "Load line of app");
    wait_for(&browser, "#limit-reading", "limit 12");
    wait_for(&browser, "#load-level", "12/12");
    assert_eq!(browser.texts("#lines th").unwrap(), ["reports", "app"]);
    wait_until(&browser, "how long it has been so", "#load-state", |text| text.starts_with("overloaded for "));
    wait_until(&browser, "refusals in the chart", "#refused-reading", |text| text.starts_with("refused ") && text != "refused 0 /s");
    wait_for(&browser, "#errors-reading", "");
    wait_for(&browser, "#error-rate", "0");
    wait_for(&browser, "#refused-total", "1,000 in all");
    let cell = |field: &str| browser.text(&format!("[data-line=\"app\"] [data-field=\"{field}\"]")).unwrap().unwrap();
    assert_eq!((cell("critical").as_str(), cell("completes").as_str(), cell("waiting").as_str()), ("0", "250 /s", "5"));
    assert!(cell("normal").ends_with("40") && cell("sheddable").ends_with("960"), "{}, {}", cell("normal"), cell("sheddable"));
    assert!(browser.texts("#classes div").unwrap().iter().any(|row| row.starts_with("refused")));
    let helped = browser.texts("#totals div").unwrap().join(" ");
    assert!(["Hedges sent", "Hedges won", "Fallback answers"].iter().all(|name| helped.contains(name)), "{helped}");
    assert!(!helped.contains("over the budget"), "what never happened takes no room: {helped}");
    wait_until(&browser, "the event", "[data-event=\"app\"]", |text| text.contains("overloaded") && text.contains("1,000 refused"));

    fleet.change(|snapshot| snapshot.load_lines[1].overloaded = false);
    wait_for(&browser, "[data-line=\"app\"] .badge", "calm");
    wait_until(&browser, "the end", "[data-event=\"app\"]", |text| text.contains("calm") && text.contains("1,000 refused, 12 at a time"));
    assert_eq!(browser.texts("[data-event=\"app\"]").unwrap().len(), 2);

    // Whoever opens the page now sees what was in trouble.
    browser.open(&format!("http://{}/", admin.address)).unwrap();
    wait_for(&browser, "#load-title", "Load line of app");
    browser.click("[data-line=\"reports\"] button").unwrap();
    wait_for(&browser, "#load-title", "Load line of reports");
    wait_for(&browser, "#limit-reading", "limit 20");
    admin.stop().await.unwrap();
}
