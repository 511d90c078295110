//! Files of a directory, over real sockets.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use plimsoll_gateway::action::Action;
use plimsoll_gateway::compress;
use plimsoll_gateway::files::{Config, Files, Immutable};
use plimsoll_gateway::route::{Match, Route};
use plimsoll_policy::content_coding::Coding;
use tempfile::TempDir;

use crate::decode::decoded;
use crate::edge::Edge;
use crate::peer::{Message, assert_problem, in_time, ms};

/// What a browser sends for a page.
const NAVIGATION: &str = "accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n";

/// A directory, and an edge that serves it at a path.
struct Site {
    directory: TempDir,
    edge: Edge,
}

fn config(directory: &Path) -> Config {
    let directory = directory.join("site");
    Config { directory, fallback: None, immutable: Immutable::Hashed, cache_control: None, cdn_cache_control: None }
}

impl Site {
    fn at(pattern: &str, files: &[(&str, &str)], change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = config(directory.path());
        std::fs::create_dir(&config.directory).unwrap();
        for (name, content) in files {
            write(&config.directory, name, content.as_bytes());
        }
        change(&mut config);
        let files = Files::new(config, pattern).unwrap();
        let edge = Edge::over(
            |plan| {
                let types = compress::MediaTypes::new(["text/*", "application/json"]).unwrap();
                let levels = compress::Levels { zstd: 3, brotli: 4, gzip: 6 };
                plan.config.compression = Some(compress::Config::new(Coding::ALL.to_vec(), levels, types, 1024, 8));
                plan.routes = vec![Route::of(Match::new(None, pattern).unwrap(), Action::Files(Arc::new(files)))];
            },
            Vec::new(),
        );
        Self { directory, edge }
    }

    fn root(files: &[(&str, &str)]) -> Self {
        Self::at("/*", files, |_| ())
    }

    fn write(&self, name: &str, content: &[u8]) {
        write(&self.directory.path().join("site"), name, content);
    }

    async fn get(&self, target: &str) -> Message {
        self.ask("GET", target, "").await
    }

    async fn ask(&self, method: &str, target: &str, fields: &str) -> Message {
        let mut client = self.edge.connect().await;
        client.send(format!("{method} {target} HTTP/1.1\r\nhost: a\r\n{fields}\r\n")).await;
        if method == "HEAD" { client.head().await.unwrap() } else { client.answer().await }
    }

    /// Once the file has rested for long enough that its tag is strong.
    async fn settled(&self, target: &str) -> Message {
        let mut answer = self.get(target).await;
        in_time("a strong tag", async {
            while answer.field("etag").unwrap().starts_with("W/") {
                tokio::time::sleep(ms(50)).await;
                answer = self.get(target).await;
            }
        })
        .await;
        answer
    }
}

fn write(directory: &Path, name: &str, content: &[u8]) {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    // As an archive would: long ago.
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
}

#[tokio::test]
async fn a_file_is_what_its_path_below_the_route_names() {
    let files =
        [("index.html", "<h1>root"), ("app.js", "let a"), ("docs/index.html", "<h1>docs"), ("docs/é a.txt", "text"), ("empty.css", "")];
    for (pattern, start) in [("/*", ""), ("/static/*", "/static")] {
        let site = Site::at(pattern, &files, |_| ());
        for (path, content, kind) in [
            ("/", "<h1>root", "text/html; charset=utf-8"),
            ("/index.html", "<h1>root", "text/html; charset=utf-8"),
            ("/app.js", "let a", "text/javascript; charset=utf-8"),
            ("/app.js?v=1", "let a", "text/javascript; charset=utf-8"),
            ("/%61pp.js", "let a", "text/javascript; charset=utf-8"),
            ("/docs/", "<h1>docs", "text/html; charset=utf-8"),
            ("/docs/%C3%A9%20a.txt", "text", "text/plain; charset=utf-8"),
            ("/empty.css", "", "text/css; charset=utf-8"),
        ] {
            let answer = site.get(&format!("{start}{path}")).await;
            assert_eq!((answer.status(), answer.text(), answer.field("content-type")), (200, content, Some(kind)), "{start}{path}");
            assert_eq!(answer.field("content-length"), Some(&*content.len().to_string()));
            assert_eq!((answer.field("x-content-type-options"), answer.field("accept-ranges")), (Some("nosniff"), Some("bytes")));
            let head = site.ask("HEAD", &format!("{start}{path}"), "").await;
            for name in ["content-type", "content-length", "etag", "cache-control", "vary", "accept-ranges"] {
                assert_eq!(head.field(name), answer.field(name), "{name} of {path}");
            }
        }
    }
    let exact = Site::at("/robots.txt", &[("robots.txt", "User-agent: *")], |_| ());
    assert_eq!(exact.get("/robots.txt").await.text(), "User-agent: *");
}

#[tokio::test]
async fn a_directory_without_its_slash_is_elsewhere() {
    let site = Site::at("/static/*", &[("index.html", ""), ("docs/index.html", ""), ("bare/x", "")], |_| ());
    for (path, location) in [("/static", "/static/"), ("/static/docs", "/static/docs/"), ("/static/docs?a=/b", "/static/docs/?a=/b")] {
        let answer = site.get(path).await;
        assert_eq!((answer.status(), answer.field("location")), (301, Some(location)), "{path}");
    }
    for path in ["/static/bare", "/static/bare/", "/static/docs/index.html/"] {
        assert_problem(&site.get(path).await, 404, "not-found");
    }
}

#[tokio::test]
async fn nothing_outside_the_directory_is_ever_served() {
    let site =
        Site::root(&[("index.html", ""), ("a/b.txt", "b"), (".env", "secret"), (".git/config", "secret"), (".well-known/x", "public")]);
    std::fs::write(site.directory.path().join("secret"), "secret").unwrap();
    let within = site.directory.path().join("site");
    std::os::unix::fs::symlink("../secret", within.join("link")).unwrap();
    std::os::unix::fs::symlink("..", within.join("up")).unwrap();
    std::os::unix::fs::symlink("/etc", within.join("etc")).unwrap();
    std::os::unix::fs::symlink("a", within.join("inside")).unwrap();
    for path in [
        "/../secret",
        "/a/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/a/%2e%2e/%2e%2e/secret",
        "/..%5csecret",
        "//secret",
        "/link",
        "/up/secret",
        "/etc/passwd",
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/a%00/b.txt",
        "/a/./b.txt",
        "/nothing",
    ] {
        let answer = site.get(path).await;
        assert!(matches!(answer.status(), 400 | 404), "{path}");
        assert!(!answer.text().contains("secret\n") && answer.text() != "secret", "{path}");
    }
    assert_eq!(site.get("/inside/b.txt").await.text(), "b");
    assert_eq!(site.get("/.well-known/x").await.text(), "public");
}

#[tokio::test]
async fn files_can_only_be_read() {
    let site = Site::root(&[("index.html", "")]);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = site.ask(method, "/", "content-length: 0\r\n").await;
        assert_problem(&answer, 405, "method-not-allowed");
        assert_eq!(answer.field("allow"), Some("GET, HEAD"));
        assert_eq!(answer.json()["setting"], "route.files");
    }
}

#[tokio::test]
async fn a_pipe_is_no_file_and_holds_nobody_up() {
    let site = Site::root(&[]);
    let path = site.directory.path().join("site/pipe.txt");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert_eq!(site.get("/pipe.txt").await.status(), 404);
}

#[tokio::test]
async fn a_client_that_has_it_is_told_so() {
    let site = Site::root(&[("a.txt", "content")]);
    let fresh = site.get("/a.txt").await;
    assert!(fresh.field("etag").unwrap().starts_with("W/") && fresh.field("last-modified").is_none(), "{fresh:?}");
    let answer = site.settled("/a.txt").await;
    let tag = answer.field("etag").unwrap();
    assert_eq!(answer.field("last-modified"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    for (fields, status) in [
        (format!("if-none-match: {tag}\r\n"), 304),
        (format!("if-none-match: W/{tag}\r\n"), 304),
        ("if-none-match: \"other\"\r\n".to_owned(), 200),
        ("if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned(), 304),
        ("if-modified-since: Sun, 06 Nov 1994 08:49:36 GMT\r\n".to_owned(), 200),
        ("if-none-match: \"other\"\r\nif-modified-since: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned(), 200),
        (format!("if-match: {tag}\r\n"), 200),
        ("if-match: \"other\"\r\n".to_owned(), 412),
        ("if-unmodified-since: Sun, 06 Nov 1994 08:49:36 GMT\r\n".to_owned(), 412),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = site.ask(method, "/a.txt", &fields).await;
            assert_eq!(answer.status(), status, "{method} {fields}");
            if status == 304 {
                let known = if fields.contains("W/") { format!("W/{tag}") } else { tag.to_owned() };
                assert_eq!(answer.field("etag"), Some(&*known), "a client that was sent it compressed knows the weak one");
                assert_eq!((answer.field("content-type"), answer.field("content-length")), (None, None));
                assert_eq!((answer.field("cache-control"), answer.field("vary")), (Some("no-cache"), Some("accept-encoding")));
            }
        }
    }
    site.write("a.txt", b"CONTENT");
    let changed = site.ask("GET", "/a.txt", &format!("if-none-match: {tag}\r\n")).await;
    assert_eq!((changed.status(), changed.text()), (200, "CONTENT"), "of the same length and with the same modification time");
}

#[tokio::test]
async fn a_part_is_answered_with_that_part() {
    let digits: String = (0..100_000_u32).map(|number| char::from(b'0' + ((number % 97) * (number % 89) % 10) as u8)).collect();
    let site = Site::root(&[("short.txt", &digits[..1000]), ("long.txt", &digits)]);
    let tag = site.settled("/long.txt").await.field("etag").unwrap().to_owned();
    for (name, length) in [("short.txt", 1_000), ("long.txt", 100_000)] {
        for (range, first, last) in
            [("0-0", 0, 0), ("5-14", 5, 14), ("990-", 990, length - 1), ("-10", length - 10, length - 1), ("0-9999999", 0, length - 1)]
        {
            let answer = site.ask("GET", &format!("/{name}"), &format!("range: bytes={range}\r\naccept-encoding: gzip\r\n")).await;
            assert_eq!(answer.status(), 206, "{name} {range}");
            assert_eq!(answer.field("content-range"), Some(&*format!("bytes {first}-{last}/{length}")));
            assert_eq!(answer.field("content-encoding"), None, "a part is a part of these bytes");
            assert!(answer.text() == &digits[first..=last], "{name} {range}");
        }
        for range in ["bytes=0-1,4-5", "lines=1-2", "bytes=9-1"] {
            let answer = site.ask("GET", &format!("/{name}"), &format!("range: {range}\r\n")).await;
            assert_eq!((answer.status(), answer.body.len()), (200, length), "{range}");
        }
        let answer = site.ask("GET", &format!("/{name}"), &format!("range: bytes={length}-\r\n")).await;
        assert_problem(&answer, 416, "range-not-satisfiable");
        assert_eq!(answer.field("content-range"), Some(&*format!("bytes */{length}")));
        assert_eq!(site.ask("HEAD", &format!("/{name}"), "range: bytes=0-1\r\n").await.status(), 200);
    }
    for (condition, status) in
        [(&*tag, 206), ("\"other\"", 200), ("Sun, 06 Nov 1994 08:49:37 GMT", 206), ("Sun, 06 Nov 1994 08:49:36 GMT", 200)]
    {
        let answer = site.ask("GET", "/long.txt", &format!("range: bytes=0-1\r\nif-range: {condition}\r\n")).await;
        assert_eq!(answer.status(), status, "{condition}");
    }
}

#[tokio::test]
async fn caches_are_told_how_long_a_name_keeps_its_content() {
    const FOR_EVER: &str = "public, max-age=31536000, immutable";
    let files = [("app.3f2a9c1b.js", ""), ("app.js", ""), ("index.html", "")];
    let site = Site::root(&files);
    for (path, expected) in [("/app.3f2a9c1b.js", FOR_EVER), ("/app.js", "no-cache"), ("/", "no-cache")] {
        assert_eq!(site.get(path).await.field("cache-control"), Some(expected), "{path}");
    }
    let site = Site::at("/*", &files, |config| {
        config.cache_control = Some(HeaderValue::from_static("public, max-age=60, s-maxage=600"));
        config.cdn_cache_control = Some(HeaderValue::from_static("max-age=3600"));
    });
    for (path, expected) in [("/app.3f2a9c1b.js", FOR_EVER), ("/app.js", "public, max-age=60, s-maxage=600")] {
        let answer = site.get(path).await;
        assert_eq!((answer.field("cache-control"), answer.field("cdn-cache-control")), (Some(expected), Some("max-age=3600")));
    }
    let missing = site.get("/missing").await;
    assert_eq!((missing.field("cache-control"), missing.field("cdn-cache-control")), (Some("no-store"), None));
    let all = Site::at("/*", &files, |config| config.immutable = Immutable::All);
    assert_eq!(all.get("/app.js").await.field("cache-control"), Some(FOR_EVER));
    let none = Site::at("/*", &files, |config| config.immutable = Immutable::None);
    assert_eq!(none.get("/app.3f2a9c1b.js").await.field("cache-control"), Some("no-cache"));
}

#[tokio::test]
async fn pages_that_exist_in_the_browser_only_are_the_fallback() {
    let site = Site::at("/*", &[("index.html", "<h1>app"), ("app.js", "")], |config| config.fallback = Some("index.html".into()));
    for path in ["/users/42", "/a/b/c", "/users/john.doe"] {
        let answer = site.ask("GET", path, NAVIGATION).await;
        assert_eq!((answer.status(), answer.text(), answer.field("cache-control")), (200, "<h1>app", Some("no-cache")), "{path}");
    }
    assert_eq!(site.ask("GET", "/missing.js", "accept: */*\r\n").await.status(), 404);
    assert_eq!(site.get("/api/missing").await.status(), 404);
}

#[tokio::test]
async fn what_was_compressed_beforehand_is_sent_as_it_is() {
    let text = "some text ".repeat(500);
    let site = Site::root(&[
        ("a.txt", &text),
        ("a.txt.br", "not really brotli"),
        ("a.txt.gz", "not really gzip"),
        ("b.txt", &text),
        ("a.png", "x"),
        ("a.png.gz", "y"),
    ]);
    let ask = |path: &'static str, accept: &'static str| site.ask("GET", path, accept);
    let plain = site.settled("/a.txt").await;
    let brotli = ask("/a.txt", "accept-encoding: zstd, br, gzip\r\n").await;
    assert_eq!(
        (brotli.text(), brotli.field("content-encoding"), brotli.field("vary")),
        ("not really brotli", Some("br"), Some("accept-encoding"))
    );
    let gzip = ask("/a.txt", "accept-encoding: gzip\r\n").await;
    assert_eq!(
        (gzip.text(), gzip.field("content-encoding"), gzip.field("content-type")),
        ("not really gzip", Some("gzip"), plain.field("content-type"))
    );
    let tags = [&plain, &brotli, &gzip].map(|answer| answer.field("etag").unwrap());
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
    assert_eq!(ask("/a.png", "accept-encoding: gzip\r\n").await.text(), "x", "pictures have no variants");
    let on_the_way = ask("/b.txt", "accept-encoding: br\r\n").await;
    assert_eq!(on_the_way.field("content-encoding"), Some("br"));
    assert!(on_the_way.field("etag").unwrap().starts_with("W/"));
    assert!(decoded(Coding::Brotli, &on_the_way.body) == text.as_bytes());
    // One that is older is of an earlier build.
    let path = site.directory.path().join("site/a.txt");
    std::fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::now()).unwrap();
    assert_ne!(ask("/a.txt", "accept-encoding: br\r\n").await.body, b"not really brotli");
}

#[tokio::test]
async fn a_large_file_comes_whole_to_a_slow_reader_and_one_that_shrinks_breaks_off() {
    let content: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let site = Site::root(&[]);
    site.write("big.bin", &content);
    let mut client = site.edge.connect_narrow().await;
    client.send("GET /big.bin HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let head = client.head().await.unwrap();
    assert_eq!(head.field("content-length"), Some("3000000"));
    let mut received = Vec::new();
    while received.len() < content.len() {
        received.extend(client.exactly(50_000).await.unwrap());
    }
    assert!(received == content);

    let mut client = site.edge.connect_narrow().await;
    client.send("GET /big.bin HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut answer = client.head().await.unwrap();
    std::fs::File::options().write(true).open(site.directory.path().join("site/big.bin")).unwrap().set_len(10).unwrap();
    assert!(client.answer_body(&mut answer).await.is_err(), "its length had been announced");
}

#[tokio::test]
async fn a_directory_that_is_moved_is_looked_up_anew() {
    let link = |to: &str, at: &Path| std::os::unix::fs::symlink(to, at).unwrap();
    let site = Site::at("/*", &[("one/a.txt", "1"), ("two/a.txt", "2")], |config| {
        link("one", &config.directory.join("current"));
        config.directory = config.directory.join("current");
    });
    assert_eq!(site.get("/a.txt").await.text(), "1");
    let current = site.directory.path().join("site/current");
    std::fs::remove_file(&current).unwrap();
    link("two", &current);
    assert_eq!(site.get("/a.txt").await.text(), "2");
}
