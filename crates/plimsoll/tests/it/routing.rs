//! `[[route]]` with all its keys, through the real binary: which route takes a request, what it does, and what `explain` says of it.

use std::path::Path;
use std::process::Command;

use plimsoll_testbed::poll::until_blocking;

use crate::fleet::{Fleet, Launch, PATIENCE};
use crate::http::{Answer, Client, Request};
use crate::origin::Origin;

/// Every key of a route at least once.
fn file(shop: &Origin, next: &Origin) -> String {
    format!(
        r#"
[[upstream]]
name = "shop"
servers = ["{}"]

[[upstream]]
name = "next"
servers = ["{}"]

[[route]]
match = "/*"
upstream = "shop"
request_headers_remove = ["Cookie"]
request_headers_set = {{ X-Env = "prod" }}
request_headers_add = {{ X-Tag = "edge" }}
response_headers_remove = ["X-Powered-By"]
response_headers_set = {{ X-Frame-Options = "DENY" }}
response_headers_add = {{ Vary = "origin" }}

[[route]]
match = "/*"
host = "*.tenants.example"
upstream = "next"

[[route]]
match = "/users/{{id}}/orders"
methods = ["GET"]
headers = ["X-Version: 2"]
query = ["full"]
upstream = "next"
rewrite_path = "/v2/orders-of/{{id}}"
set_host = "app.internal"

[[route]]
match = "/api/*"
upstream = "next"
strip_prefix = "on"
body_bytes_max = 4
total_timeout = "10s"
first_byte_timeout = "5s"

[[route]]
match = "/v1/*"
upstream = "next"
replace_prefix = "/v2"

[[route]]
match = "/only-post"
methods = ["POST"]
upstream = "shop"

[[route]]
match = "/mirrored/*"
upstream = "shop"
mirror_upstream = "next"
mirror_share = 1.0
mirror_in_flight_max = 4
mirror_body_bytes_max = "1KiB"

[[route]]
match = "/old/{{rest...}}"
redirect = "https://{{host}}/new/{{rest}}?{{query}}"
redirect_status = 301

[[route]]
match = "/robots.txt"
respond = 200
respond_file = "robots.txt"
respond_type = "text/plain"

[[route]]
match = "/gone"
respond = 410
respond_body = "no more"
"#,
        shop.server(),
        next.server()
    )
}

fn start(directory: &Path, file: &str) -> Fleet {
    std::fs::write(directory.join("robots.txt"), "User-agent: *\n").unwrap();
    std::fs::write(directory.join("plimsoll.toml"), file).unwrap();
    Launch::new(&["gateway"]).working_dir(directory).fleet()
}

fn name(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["name"].as_str().unwrap().to_owned()
}

fn request_line(answer: &Answer) -> String {
    answer.json()["asked"].as_str().unwrap().to_owned()
}

/// The header lines that an instance got, in lower case.
fn lines(answer: &Answer) -> Vec<String> {
    answer.json()["headers"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_lowercase()).collect()
}

#[test]
fn a_file_with_every_key_of_a_route_does_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let (shop, next) = (Origin::tcp("shop"), Origin::tcp("next"));
    let fleet = start(directory.path(), &file(&shop, &next));
    let ask = |request: &Request| fleet.client().ask(request);

    let answer = ask(&Request::get("/x").header("Cookie", "a=1").header("X-Env", "test").header("X-Tag", "own"));
    assert_eq!(name(&answer), "shop");
    let got = lines(&answer);
    let named = |name: &str| got.iter().filter(|line| line.starts_with(name)).cloned().collect::<Vec<_>>();
    assert_eq!(
        (named("cookie"), named("x-env"), named("x-tag")),
        (vec![], vec!["x-env: prod".to_owned()], vec!["x-tag: own".to_owned(), "x-tag: edge".to_owned()])
    );
    assert_eq!((answer.header("X-Frame-Options"), answer.header("Vary")), ("DENY", "origin"));

    assert_eq!(name(&ask(&Request::get("/x").host("a.tenants.example"))), "next");

    let orders = Request::get("/users/7/orders?full=1").host("shop.example").header("X-Version", "2");
    let answer = ask(&orders);
    assert_eq!((name(&answer), request_line(&answer)), ("next".to_owned(), "GET /v2/orders-of/7?full=1 HTTP/1.1".to_owned()));
    let got = lines(&answer);
    assert!(got.contains(&"host: app.internal".to_owned()) && got.contains(&"x-forwarded-host: shop.example".to_owned()), "{got:?}");
    assert_eq!(name(&ask(&Request::get("/users/7/orders?full=1"))), "shop");
    assert_eq!(name(&ask(&Request::get("/users/7/orders").header("X-Version", "2"))), "shop");

    let answer = ask(&Request::get("/api/items?x=1"));
    assert_eq!((name(&answer), request_line(&answer)), ("next".to_owned(), "GET /items?x=1 HTTP/1.1".to_owned()));
    ask(&Request::get("/api//evil.example/x")).assert_problem(404, "no-route");
    let large = ask(&Request::new("POST", "/api/items").json(&serde_json::json!("too large")));
    large.assert_problem(413, "body-too-large");
    assert_eq!(large.json()["setting"], "route.body_bytes_max");
    assert_eq!(request_line(&ask(&Request::get("/v1/items"))), "GET /v2/items HTTP/1.1");

    // The route for everything takes what the narrower one does not.
    assert_eq!(name(&ask(&Request::get("/only-post"))), "shop");
    let answer = ask(&Request::get("/old/a/b?x=1").host("shop.example:8080"));
    assert_eq!((answer.status, answer.header("Location")), (301, "https://shop.example/new/a/b?x=1"));
    let answer = ask(&Request::get("/robots.txt"));
    assert_eq!((answer.status, answer.text().as_str(), answer.header("Content-Type")), (200, "User-agent: *\n", "text/plain"));
    let answer = ask(&Request::get("/gone"));
    assert_eq!((answer.status, answer.text().as_str(), answer.header("Content-Type")), (410, "no more", "text/plain; charset=utf-8"));

    assert_eq!(name(&ask(&Request::get("/mirrored/x"))), "shop");
    let metrics = || Client::new(fleet.admin_port()).get("/metrics").text();
    let mirrored = || Ok(metrics().contains("plimsoll_http_mirrored_total 1\n").then_some(()));
    until_blocking(PATIENCE, "the copy to be counted", mirrored).unwrap();
    fleet.stop();
}

#[test]
fn a_method_that_no_route_takes_is_405_and_says_which_do() {
    let directory = tempfile::tempdir().unwrap();
    let origin = Origin::tcp("origin");
    let file = format!(
        "[[upstream]]\nname = \"o\"\nservers = [\"{}\"]\n[[route]]\nmatch = \"/items/{{id}}\"\nmethods = [\"GET\", \"PUT\"]\nupstream = \"o\"\n",
        origin.server()
    );
    let fleet = start(directory.path(), &file);
    let answer = fleet.client().ask(&Request::new("POST", "/items/7"));
    answer.assert_problem(405, "method-not-allowed");
    assert_eq!(answer.header("Allow"), "GET, HEAD, PUT");
    fleet.stop();
}

#[test]
fn redirects_and_answers_need_no_upstream() {
    let directory = tempfile::tempdir().unwrap();
    let fleet = start(directory.path(), "[[route]]\nmatch = \"/*\"\nredirect = \"https://{host}{path}?{query}\"\n");
    let answer = fleet.client().ask(&Request::get("/a?b=c").host("shop.example"));
    assert_eq!((answer.status, answer.header("Location")), (308, "https://shop.example/a?b=c"));
    fleet.client().ask(&Request::get("//evil.example")).assert_problem(404, "no-route");
    fleet.stop();
}

#[test]
fn explain_tells_which_route_takes_a_request_and_why_not_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let origins = [Origin::at("shop", [127, 0, 0, 1], 0), Origin::at("next", [127, 0, 0, 1], 0)];
    std::fs::write(directory.path().join("robots.txt"), "").unwrap();
    std::fs::write(directory.path().join("plimsoll.toml"), file(&origins[0], &origins[1])).unwrap();
    let explain = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        let output = command.env_clear().current_dir(directory.path()).arg("explain").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    let told: String = [
        &["GET", "http://shop.example/users/7/orders?full", "-H", "X-Version: 2"][..],
        &["POST", "/users/7/orders?full"],
        &["http://a.tenants.example/api/x"],
        &["/api//x"],
        &["/old/a/b?x"],
        &["/only-post"],
        &["/x/../api/y"],
    ]
    .iter()
    .map(|arguments| explain(arguments) + "\n")
    .collect();
    insta::assert_snapshot!(told);
    let json: serde_json::Value = serde_json::from_str(&explain(&["/api/x", "--json"])).unwrap();
    assert_eq!(json["outcome"], "upstream `next` gets it as /x");
    assert_eq!(json["candidates"][0]["taken"], true);
    assert!(explain(&["G T", "/x"]).contains("`G T` is not a method"));
}
