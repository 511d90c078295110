//! The dashboard in a real browser.

use std::time::Duration;

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
