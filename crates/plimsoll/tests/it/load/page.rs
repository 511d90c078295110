//! The page of a run, in a real browser.

use plimsoll_testbed::browser::Browser;
use plimsoll_testbed::capacity::Server;
use serde_json::Value;

use super::{Bench, CAPACITY, assert_exit};

#[test]
fn the_page_shows_its_plots_without_network_or_script() {
    let (bench, server) = (Bench::new(), Server::start(CAPACITY, 0).unwrap());
    let target = format!("http://127.0.0.1:{}/feed?q=<img%20src=x>", server.port());
    let output = bench.load(&[&target, "--steps", "20,40,60", "--duration", "3s", "--slo", "p99<2s", "--html", "run.html"]);
    assert_exit(&output, 0);
    let page = bench.path("run.html");
    let text = std::fs::read_to_string(&page).unwrap();
    for absent in ["<script", "src=\"", "url(", "@import", "<link"] {
        assert!(!text.contains(absent), "{absent} would load or run something");
    }

    let browser = Browser::start().unwrap();
    browser.open(&format!("file://{}", page.display())).unwrap();
    let number = |script: &str| browser.eval(script).unwrap().as_u64().unwrap();
    assert_eq!(browser.attribute("h1 + .target img", "src").unwrap(), None, "text from outside is text");
    for plot in ["goodput", "latency", "time", "percentiles", "heat"] {
        let box_of = format!(
            "const box = document.getElementById('{plot}').getBoundingClientRect(); return Math.floor(Math.min(box.width, box.height))"
        );
        assert!(number(&box_of) > 100, "{plot} can be seen");
        assert!(number(&format!("return document.querySelectorAll('#{plot} title, #{plot} desc').length")) >= 2, "{plot} has words");
    }
    assert!(number("return document.querySelectorAll('#goodput .dot').length") == 3, "a dot for each rate");
    assert_eq!(browser.texts("tbody th").unwrap()[..3], ["20/s", "40/s", "60/s"]);
    assert!(browser.text(".notice.good").unwrap().unwrap().contains("p99<2s"));
    // Nothing was asked of anybody, and nothing sticks out on a phone.
    assert_eq!(browser.eval("return performance.getEntriesByType('resource').length").unwrap(), Value::from(0));
    let overflow = "document.body.style.width = '340px'; return document.querySelector('main').scrollWidth <= 340";
    assert_eq!(browser.eval(overflow).unwrap(), true);
}
