//! Headless Chromium, steered through `ChromeDriver` by the few `WebDriver` commands that tests of a page need.

mod driver;

use std::path::Path;

use anyhow::{Context, Result};
use driver::Driver;
use serde_json::{Value, json};

use crate::base64;

/// The name that the `WebDriver` standard gives to a reference to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one page, closed on drop. Every call blocks until the browser has done it.
pub struct Browser {
    session: String,
    driver: Driver,
}

impl Browser {
    /// Starts a browser with an empty profile.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// The same for a browser that believes certificates with this key, whoever signed them: the SHA-256 of its public half, in base64.
    pub fn start_believing(key_hash: &str) -> Result<Self> {
        Self::start_with(&[format!("--ignore-certificate-errors-spki-list={key_hash}")])
    }

    fn start_with(flags: &[String]) -> Result<Self> {
        let driver = Driver::start()?;
        Ok(Self { session: driver.new_session(flags)?, driver })
    }

    /// Opens an address and waits until the page has loaded.
    pub fn open(&self, url: &str) -> Result<()> {
        self.post("url", &json!({ "url": url })).map(drop)
    }

    /// The visible text of the first element that matches; none if nothing does.
    pub fn text(&self, css: &str) -> Result<Option<String>> {
        let value = self.execute("return document.querySelector(arguments[0])?.innerText", &[css])?;
        Ok(value.as_str().map(str::to_owned))
    }

    /// The visible texts of all elements that match.
    pub fn texts(&self, css: &str) -> Result<Vec<String>> {
        let script = "return Array.from(document.querySelectorAll(arguments[0]), (element) => element.innerText)";
        serde_json::from_value(self.execute(script, &[css])?).context("the browser returned something other than texts")
    }

    /// An attribute of the first element that matches; none if there is no such element or attribute.
    pub fn attribute(&self, css: &str, name: &str) -> Result<Option<String>> {
        let value = self.execute("return document.querySelector(arguments[0])?.getAttribute(arguments[1])", &[css, name])?;
        Ok(value.as_str().map(str::to_owned))
    }

    /// Clicks where a person would: fails if the element is hidden or covered.
    pub fn click(&self, css: &str) -> Result<()> {
        let element = self.post("element", &json!({ "using": "css selector", "value": css }))?;
        let id = element[ELEMENT].as_str().context("ChromeDriver named no element")?;
        self.post(&format!("element/{id}/click"), &json!({})).map(drop)
    }

    /// Runs the body of a function in the page: `return document.title`.
    pub fn eval(&self, script: &str) -> Result<Value> {
        self.execute(script, &[])
    }

    /// Writes what is visible of the page as a PNG.
    pub fn screenshot(&self, path: &Path) -> Result<()> {
        let picture = self.driver.get(&self.path("screenshot"))?;
        let bytes = picture.as_str().and_then(base64::decode).context("ChromeDriver returned no picture")?;
        std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    /// One script instead of a look-up and a question about what it found: a live page may replace the element in between.
    fn execute(&self, script: &str, arguments: &[&str]) -> Result<Value> {
        self.post("execute/sync", &json!({ "script": script, "args": arguments }))
    }

    fn post(&self, command: &str, parameters: &Value) -> Result<Value> {
        self.driver.post(&self.path(command), parameters)
    }

    fn path(&self, command: &str) -> String {
        format!("/session/{}/{command}", self.session)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Lets the browser end its own processes; what is left goes with the driver.
        let _ = self.driver.delete(&format!("/session/{}", self.session));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::poll;

    const PAGE: &str = "data:text/html,<title>Page</title><h1 id=head lang=en>Before</h1>\
        <button onclick=\"document.getElementById('head').innerText='After'\">Go</button><p hidden>No</p>";

    #[test]
    fn reads_clicks_and_takes_pictures() {
        let browser = Browser::start().unwrap();
        browser.open(PAGE).unwrap();
        assert_eq!(browser.text("#head").unwrap().as_deref(), Some("Before"));
        assert_eq!(browser.text("#nothing").unwrap(), None);
        assert_eq!(browser.attribute("#head", "lang").unwrap().as_deref(), Some("en"));
        browser.click("button").unwrap();
        assert_eq!(browser.texts("h1").unwrap(), ["After"]);
        assert_eq!(browser.eval("return document.title").unwrap(), "Page");
        assert!(browser.click("p").is_err(), "a hidden element cannot be clicked");
        let error = browser.eval("return nothing.at.all").unwrap_err().to_string();
        assert!(error.contains("nothing is not defined"), "{error}");

        let directory = tempfile::tempdir().unwrap();
        let picture = directory.path().join("page.png");
        browser.screenshot(&picture).unwrap();
        assert!(std::fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn no_process_outlives_it() {
        let browser = Browser::start().unwrap();
        let profile = browser.driver.profile().display().to_string();
        assert!(mentions(&profile) > 1, "the browser's processes name their profile");
        drop(browser);
        let gone = || Ok((mentions(&profile) == 0).then_some(()));
        poll::until_blocking(Duration::from_secs(10), "the end of all browser processes", gone).unwrap();
    }

    /// Processes whose command line names `text`.
    fn mentions(text: &str) -> usize {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line).contains(text)).count()
    }
}
