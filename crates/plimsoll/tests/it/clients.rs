//! The clients that people use, against an app that shows what a proxy can spoil: each must see what it would see without one.

use std::process::Command;

use plimsoll_testbed::process::find;
use plimsoll_testbed::{node, python};

use crate::fleet::{Fleet, Launch};

/// Where the scripts of this test lie.
pub(crate) const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/clients");

/// What is spoken behind the edge: no client may see the difference.
const PROTOCOLS: [&str; 2] = ["http1", "http2"];

fn fleet(protocol: &str) -> Fleet {
    instances(1, protocol).fleet()
}

/// Of the app, which speak and are spoken to in this protocol.
pub(crate) fn instances(count: usize, protocol: &str) -> Launch {
    let program = node::program().unwrap().display().to_string();
    let launch = Launch::run(&[program.as_str(), "instance.cjs"]).working_dir(SCRIPTS);
    let launch = launch.word("--instances").word(count.to_string()).variable("NODE_PATH", packages());
    launch.variable("SPEAKS", protocol).variable("PLIMSOLL__GATEWAY__UPSTREAM_PROTOCOL", protocol)
}

pub(crate) fn packages() -> String {
    node::packages().unwrap().display().to_string()
}

fn base(fleet: &Fleet) -> String {
    format!("http://127.0.0.1:{}", fleet.port())
}

/// Runs a client to its end, which must be a good one, and returns what it printed.
#[track_caller]
fn run(program: &str, words: &[&str]) -> String {
    let program = if program.contains('/') { program.into() } else { find(program.as_ref()).unwrap() };
    let output = Command::new(program).args(words).env("NODE_PATH", packages()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {}\n{printed}\n{complaint}", output.status);
    printed
}

#[track_caller]
fn run_node(what: &str, fleet: &Fleet) {
    run(&node::program().unwrap().display().to_string(), &[&format!("{SCRIPTS}/node.cjs"), what, &base(fleet)]);
}

#[track_caller]
fn run_python(what: &str, fleet: &Fleet) {
    let python = python::program("python").unwrap().display().to_string();
    run(&python, &[&format!("{SCRIPTS}/httpx_and_websockets.py"), what, &base(fleet)]);
}

/// What curl says of itself and of the answer, after the body.
const TOLD: &str = "\n%{http_code} %{http_version} %{size_download}";

#[track_caller]
fn curl(words: &[&str]) -> String {
    run("curl", &[&["--silent", "--show-error", "--max-time", "20", "--write-out", TOLD], words].concat())
}

#[test]
fn curl_over_every_version() {
    for protocol in PROTOCOLS {
        let fleet = fleet(protocol);
        let base = base(&fleet);
        let url = |path: &str| format!("{base}{path}");
        let spoken = if protocol == "http1" { "\"httpVersion\":\"1.1\"" } else { "\"httpVersion\":\"2.0\"" };
        // An offer to change to HTTP/2 is no reason not to answer.
        for (flag, version) in [("--http1.0", "1.1"), ("--http1.1", "1.1"), ("--http2", "1.1"), ("--http2-prior-knowledge", "2")] {
            assert_eq!(curl(&[flag, &url("/")]), format!("{{\"ok\":true}}\n200 {version} 11"), "{flag}");
            assert!(curl(&[flag, "--head", &url("/file")]).ends_with(&format!("\n200 {version} 0")), "{flag} HEAD");
            assert!(
                curl(&[flag, "--output", "/dev/null", "--range", "0-9", &url("/file")]).ends_with(&format!("206 {version} 10")),
                "{flag} range"
            );
            assert!(curl(&[flag, "--output", "/dev/null", &url("/chunks")]).ends_with(&format!("200 {version} 40")), "{flag} chunks");
            let body = "x".repeat(100_000);
            let posted = curl(&[flag, "--data-binary", &body, &url("/seen")]);
            assert!(posted.contains("\"bytes\":100000") && posted.contains(spoken), "{flag}: {posted}");
            let chunked = curl(&[flag, "--header", "Transfer-Encoding: chunked", "--data-binary", &body, &url("/seen")]);
            // HTTP/1.0 knows no chunks.
            let expected = if flag == "--http1.0" { "400 1.1" } else { "\"bytes\":100000" };
            assert!(chunked.contains(expected), "{flag}: {chunked}");
        }
        fleet.stop();
    }
}

#[test]
fn curl_keeps_its_connection_over_answers_of_every_kind() {
    for protocol in PROTOCOLS {
        let fleet = fleet(protocol);
        let base = base(&fleet);
        // Over HTTP/1.1: this curl cannot ask twice on a connection that it began with HTTP/2, whoever answers.
        let words = ["--http1.1", "--silent", "--write-out", "%{num_connects} %{http_code}\n"];
        let transfers = ["/file", "/nothing", "/chunks", "/moved", "/nowhere", "/"].map(|path| format!("{base}{path}"));
        let sinks = transfers.iter().flat_map(|url| ["--output", "/dev/null", url.as_str()]);
        let told = run("curl", &words.into_iter().chain(sinks).collect::<Vec<_>>());
        assert_eq!(told, "1 200\n0 204\n0 200\n0 302\n0 404\n0 200\n");
        fleet.stop();
    }
}

#[test]
fn curl_asks_before_it_sends_and_is_told_by_the_instance() {
    for protocol in PROTOCOLS {
        let fleet = fleet(protocol);
        let base = base(&fleet);
        let body = "x".repeat(2_000_000);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("body");
        std::fs::write(&file, &body).unwrap();
        let upload = format!("@{}", file.display());
        let words = ["--http1.1", "--header", "Expect: 100-continue", "--expect100-timeout", "20", "--data-binary", &upload];
        let told = curl(&[&words[..], &[&format!("{base}/seen")]].concat());
        assert!(told.contains("\"continued\":true") && told.contains("\"bytes\":2000000"), "{told}");
        let refused = run(
            "curl",
            &[&["--silent", "--max-time", "10", "--write-out", "%{http_code} %{size_upload}"], &words[..], &[&format!("{base}/unwanted")]]
                .concat(),
        );
        assert_eq!(refused, "417 0", "nothing was sent in vain");
        fleet.stop();
    }
}

#[test]
fn load_generators_get_every_answer() {
    for protocol in PROTOCOLS {
        let fleet = fleet(protocol);
        let base = base(&fleet) + "/";
        for words in [&["--h1", "--clients=8"][..], &["--clients=4", "--max-concurrent-streams=16"]] {
            let told = run("h2load", &[words, &["--requests=1000", &base]].concat());
            assert!(told.contains("1000 succeeded, 0 failed, 0 errored, 0 timeout"), "{told}");
        }
        // HTTP/1.0, with and without a connection that is kept.
        for words in [&["-k"][..], &[]] {
            let told = run("ab", &[words, &["-q", "-n", "500", "-c", "8", &base]].concat());
            assert!(told.contains("Complete requests:      500\nFailed requests:        0\n"), "{told}");
            let kept = if words.is_empty() { None } else { Some("Keep-Alive requests:    500\n") };
            assert!(kept.is_none_or(|kept| told.contains(kept)), "{told}");
        }
        let told = run("wrk", &["--threads", "1", "--connections", "8", "--duration", "1s", &base]);
        assert!(told.contains(" requests in ") && !told.contains("Socket errors") && !told.contains("Non-2xx"), "{told}");
        fleet.stop();
    }
}

#[test]
fn wget_downloads_resumes_and_posts() {
    for protocol in PROTOCOLS {
        let fleet = fleet(protocol);
        let base = base(&fleet);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file").display().to_string();
        let url = format!("{base}/file");
        run("wget", &["--quiet", "--tries=1", "--output-document", &file, &url]);
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, &whole[..40_000]).unwrap();
        run("wget", &["--quiet", "--tries=1", "--continue", "--directory-prefix", &directory.path().display().to_string(), &url]);
        assert!(std::fs::read(&file).unwrap() == whole && whole.len() == 100_000, "the rest was asked for");
        let told = run("wget", &["--quiet", "--tries=1", "--post-data=name=rope", "--output-document=-", &format!("{base}/seen")]);
        assert!(told.contains("\"bytes\":9"), "{told}");
        fleet.stop();
    }
}

#[test]
fn httpx_over_both_versions() {
    for protocol in PROTOCOLS {
        let fleet = fleet(protocol);
        run_python("http1", &fleet);
        run_python("http2", &fleet);
        fleet.stop();
    }
}

#[test]
fn node_over_both_versions() {
    for protocol in PROTOCOLS {
        let fleet = fleet(protocol);
        for what in ["fetch", "http1", "http2"] {
            run_node(what, &fleet);
        }
        fleet.stop();
    }
}

#[test]
fn trailers_pass_both_ways_as_remote_calls_need_them() {
    for protocol in PROTOCOLS {
        let fleet = fleet(protocol);
        run_node("trailers", &fleet);
        fleet.stop();
    }
}

#[test]
fn websocket_clients_get_their_protocol_compression_pongs_and_close_codes() {
    let fleet = fleet("http1");
    run_node("websocket", &fleet);
    run_python("websockets", &fleet);
    fleet.stop();
}
