//! The dashboard of a real fleet in a real browser.

use std::collections::BTreeSet;

use plimsoll_testbed::browser::Browser;
use plimsoll_testbed::poll::until_blocking;
use rustix::process::Signal;

use crate::fleet::{Fleet, PATIENCE};
use crate::http::Request;
use crate::processes;
use crate::traffic::{Mix, Traffic};

fn cell(browser: &Browser, instance: &str, field: &str) -> String {
    browser.text(&format!("[data-instance=\"{instance}\"] [data-field=\"{field}\"]")).unwrap().unwrap_or_default()
}

#[track_caller]
fn wait_for(browser: &Browser, instance: &str, field: &str, text: &str) {
    let shown = || Ok((cell(browser, instance, field) == text).then_some(()));
    if let Err(error) = until_blocking(PATIENCE, &format!("{field} of {instance} to be `{text}`"), shown) {
        panic!("{error:#}; it is `{}`", cell(browser, instance, field));
    }
}

#[test]
fn shows_three_instances_a_moving_rate_and_a_killed_instance_without_a_reload() {
    let fleet = Fleet::up();
    let browser = Browser::start().unwrap();
    browser.open(&format!("http://127.0.0.1:{}/", fleet.admin_port())).unwrap();
    for (instance, pid) in fleet.pids() {
        wait_for(&browser, &instance, "state", "ready");
        wait_for(&browser, &instance, "pid", &pid.to_string());
        wait_for(&browser, &instance, "restarts", "0");
    }
    assert_eq!(browser.texts("#instances tr").unwrap().len(), 3);
    browser.eval("window.neverReloaded = true").unwrap();

    let traffic = Traffic::start(fleet.port(), &Mix { requests: vec![Request::get("/whoami")], session: None });
    let mut rates = BTreeSet::new();
    let moves = || {
        rates.extend(browser.text("#request-rate")?.and_then(|rate| rate.parse::<f64>().ok()).map(|rate| rate as u64));
        // It climbs for ten seconds: the window that it is a mean of.
        Ok((rates.len() >= 4 && rates.last() > Some(&150)).then_some(()))
    };
    let moved = until_blocking(PATIENCE, "a rate that climbs to 200", moves);
    assert!(moved.is_ok(), "the rates seen: {rates:?}");

    // A killed instance is back before a page that is drawn once a second can show it gone; one that hangs first is seen to.
    let pid = fleet.pids()["api-2"];
    processes::signal(pid, Signal::STOP);
    wait_for(&browser, "api-2", "state", "unhealthy");
    processes::signal(pid, Signal::KILL);
    wait_for(&browser, "api-2", "restarts", "1");
    wait_for(&browser, "api-2", "state", "ready");
    let event = || Ok((browser.texts("[data-event=\"api-2\"]")?.len() >= 2).then_some(()));
    until_blocking(PATIENCE, "events about api-2", event).unwrap();
    assert_ne!(cell(&browser, "api-2", "pid"), pid.to_string());
    assert_eq!(cell(&browser, "api-1", "restarts"), "0");
    assert_eq!(browser.eval("return window.neverReloaded").unwrap(), true);
    assert_eq!(traffic.stop().failed, 0);
    fleet.stop();
}
