//! A web application as people deploy one: a built front end from files, an API behind it, real browsers and clients before it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use plimsoll_testbed::browser::Browser;
use plimsoll_testbed::poll::until_blocking;
use plimsoll_testbed::{node, process, python};
use serde_json::Value;
use tempfile::TempDir;

use crate::fleet::{Fleet, Launch, PATIENCE};
use crate::http;
use crate::processes::memory;

const HASHED: &str = "app.3f2a9c1b.js";
const SCRIPT: &str = "document.title = 'built'; window.built = true;";
const PAGE: &str = "<!doctype html><link rel=icon href=data:,><script src=/app.3f2a9c1b.js></script><h1>shop</h1>";

/// A directory with a build, and a configuration that serves it beside an API.
fn site() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let dist = directory.path().join("dist");
    std::fs::create_dir(&dist).unwrap();
    std::fs::write(dist.join("index.html"), PAGE).unwrap();
    std::fs::write(dist.join(HASHED), SCRIPT).unwrap();
    let file = directory.path().join("edge.toml");
    let routes = format!(
        "[log]\naccess = \"all\"\n\
         [[route]]\nmatch = \"/*\"\nfiles = \"{}\"\nfiles_fallback = \"index.html\"\n\
         [[route]]\nmatch = \"/openapi.json\"\n[[route]]\nmatch = \"/events\"\n[[route]]\nmatch = \"/api/*\"\n",
        dist.display()
    );
    std::fs::write(&file, routes).unwrap();
    (directory, file)
}

/// The `FastAPI` example behind it.
fn with_api(file: &Path) -> Fleet {
    let uvicorn = python::program("uvicorn").unwrap().display().to_string();
    let launch = Launch::run(&[uvicorn.as_str(), "app:app", "--port", "{port}"]).working_dir(python::example());
    launch.word("--instances").word("1").word("--config").word(file.display().to_string()).fleet()
}

/// The statuses of all requests for a path, in order, as the log has them.
fn statuses(fleet: &Fleet, path: &str) -> Vec<u64> {
    let log = fleet.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["http.path"] == path).filter_map(|line| line["http.status"].as_u64()).collect()
}

#[test]
fn a_browser_fetches_what_is_hashed_once_and_asks_about_the_rest_and_sees_events_as_they_happen() {
    let (_directory, file) = site();
    let fleet = with_api(&file);
    let browser = Browser::start().unwrap();
    let home = format!("http://127.0.0.1:{}/", fleet.port());
    let open = |address: &str| {
        browser.open(address).unwrap();
        assert_eq!(browser.eval("return [document.title, window.built]").unwrap(), serde_json::json!(["built", true]));
    };
    open(&home);
    // Until its tag is strong and has a date: both do for a question.
    open(&home);
    open(&format!("{home}orders/42"));
    let asked = || Ok((statuses(&fleet, "/") == [200, 304]).then_some(()));
    until_blocking(PATIENCE, "the second visit in the log", asked).unwrap_or_else(|_| panic!("{:?}", statuses(&fleet, "/")));
    assert_eq!(statuses(&fleet, "/orders/42"), [200], "a page of the application");
    assert_eq!(statuses(&fleet, &format!("/{HASHED}")), [200], "three pages, one transfer");

    let script = "window.seen = []; fetch('/events?count=3&ms=500').then(async (answer) => {
        window.coding = answer.headers.get('content-encoding');
        const reader = answer.body.getReader();
        for (;;) {
            const { done, value } = await reader.read();
            if (done) break;
            window.seen.push([performance.now(), new TextDecoder().decode(value)]);
        }
        window.over = true;
    });";
    browser.eval(script).unwrap();
    let over = || Ok((browser.eval("return window.over")? == true).then_some(()));
    until_blocking(PATIENCE, "the end of the events", over).unwrap();
    let coding = browser.eval("return window.coding").unwrap();
    assert!(coding == "zstd" || coding == "br", "it takes both, and gets {coding}");
    let seen = browser.eval("return window.seen").unwrap();
    let seen: Vec<(f64, String)> = serde_json::from_value(seen).unwrap();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen[2].0 - seen[0].0 > 500.0, "a second lies between the first and the last: {seen:?}");
    fleet.stop();
}

#[test]
fn real_clients_read_every_coding() {
    let (_directory, file) = site();
    let fleet = with_api(&file);
    let address = format!("http://127.0.0.1:{}/openapi.json", fleet.port());
    let run = |program: &Path, words: &[&str]| {
        let output = Command::new(program).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let curl = process::find(Path::new("curl")).unwrap();
    let plain = run(&curl, &["-sS", &address]);
    assert!(plain.len() > 1024 && plain.contains("openapi"), "{plain}");
    for coding in ["gzip", "br", "zstd"] {
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let ask = format!("Accept-Encoding: {coding}");
            let head = run(&curl, &["-sS", version, "-H", &ask, "-o", "/dev/null", "-D", "-", &address]).to_lowercase();
            assert!(head.contains(&format!("content-encoding: {coding}")) && head.contains("vary: accept-encoding"), "{head}");
            assert_eq!(run(&curl, &["-sS", version, "--compressed", "-H", &ask, &address]), plain, "{coding} {version}");
        }
    }
    let fetch = "fetch(process.argv[1]).then(async (answer) => process.stdout.write(answer.headers.get('content-encoding') + ' ' + await answer.text()))";
    let fetched = run(&node::program().unwrap(), &["-e", fetch, &address]);
    let (coding, text) = fetched.split_once(' ').unwrap();
    assert!(["gzip", "br", "zstd"].contains(&coding), "{coding}");
    assert_eq!(text, plain);
    let get = "import sys, urllib.request, gzip; request = urllib.request.Request(sys.argv[1], headers={'Accept-Encoding': 'gzip'}); \
               sys.stdout.write(gzip.decompress(urllib.request.urlopen(request).read()).decode())";
    assert_eq!(run(&python::program("python").unwrap(), &["-c", get, &address]), plain);
    fleet.stop();
}

/// A file of nothing takes no room on the disk, and as much on the wire as any other.
#[test]
fn a_gibibyte_from_a_file_to_readers_that_rest_takes_no_memory() {
    const GIB: u64 = 1 << 30;
    // Nine files are read at a time, each by a thread with a heap of its own.
    const GROWTH_KIB_MAX: u64 = 32 * 1024;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("small.txt"), "small").unwrap();
    std::fs::File::create(directory.path().join("big.bin")).unwrap().set_len(GIB).unwrap();
    let file = directory.path().join("edge.toml");
    std::fs::write(&file, format!("[[route]]\nmatch = \"/*\"\nfiles = \"{}\"\n", directory.path().display())).unwrap();
    let fleet = Launch::new(&["gateway", "--config"]).word(file.display().to_string()).fleet();
    for _ in 0..20 {
        assert_eq!(fleet.client().get("/small.txt").text(), "small");
    }
    let before = memory(fleet.pid());
    let begin = || {
        let mut stream = http::connect(fleet.port()).unwrap();
        std::io::Write::write_all(stream.get_mut(), b"GET /big.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let head = http::head(&mut stream).unwrap();
        assert_eq!((head.status, head.header("Content-Length")), (200, GIB.to_string().as_str()));
        stream
    };
    let resting: Vec<_> = (0..8).map(|_| begin()).collect();
    let mut stream = begin();
    let read = std::io::copy(&mut stream.by_ref().take(2 * GIB), &mut std::io::sink()).unwrap();
    assert_eq!(read, GIB);
    let after = memory(fleet.pid());
    let growth = after.peak.saturating_sub(before.now);
    println!("file: from {} KiB to {} KiB at most: grew by {growth} KiB", before.now, after.peak);
    assert!(growth < GROWTH_KIB_MAX, "{growth} KiB");
    drop(resting);
    fleet.stop();
}
