//! What `plimsoll load` does not do, and how it says so.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::{Api, Bench, assert_exit, text};
use crate::fleet::Launch;

/// Asked wrongly: exit code 2, and an error that names what was wrong.
#[track_caller]
fn check(words: &[&str], error: &str) {
    let output = Bench::new().load(words);
    assert_exit(&output, 2);
    let shown = text(&output.stderr);
    assert!(shown.contains(error), "{words:?}: {shown}");
    assert!(output.stdout.is_empty(), "{words:?}");
}

#[test]
fn whoever_asks_wrongly_is_told_what_is_wrong() {
    let url = "http://localhost:1/";
    for (words, error) in [
        (&[][..], "<URL>"),
        (&["ftp://localhost"], "error: the address `ftp://localhost` cannot be used"),
        (&[url, "--rate", "0"], "write requests per second"),
        (&[url, "--rate", "10", "--connections", "5"], "cannot be used with"),
        (&[url, "--spike", "10"], "--rate"),
        (&[url, "--duration", "5"], "write a number and one of ms, s, m, h"),
        (&[url, "--stages", "100"], "RATE:TIME"),
        (&[url, "--stages", "100:1s", "--duration", "1s"], "--stages have durations of their own"),
        (&[url, "--slo", "p99<fast"], "`fast` at character 5 is not a time"),
        (&[url, "--rate", "200000"], "hint: `plimsoll load --help` shows what can be asked; --max-rate and --max-duration raise the caps"),
        (&[url, "--duration", "2h"], "--max-duration"),
        (&[url, "--find-limit", "--rate", "5"], "cannot be used with"),
        (&[url, "--with-and-without", "--connections", "5"], "cannot be used with"),
        (&[url, "--request", "GET"], "error: the request `GET` cannot be read"),
        (&[url, "--header", "nonsense"], "must be written as `Name: value`"),
        (&[url, "--insecure"], "the target is plain http"),
        (&[url, "--scenario", "missing.toml"], "missing.toml"),
        (&["compare", "missing.json", "missing.json"], "cannot read missing.json"),
    ] {
        check(words, error);
    }
}

#[test]
fn what_is_not_on_this_machine_needs_a_word() {
    // Nothing is sent: the name cannot be resolved, and it is refused before.
    let url = "http://api.example.invalid/";
    let output = Bench::new().load(&[url]);
    assert_exit(&output, 2);
    assert_eq!(
        text(&output.stderr),
        "error: http://api.example.invalid/ is not on this machine: load on what is not yours is an attack\n\n\
         hint: if it is yours, or its owner agreed, say so with --i-own-this-target, or list its host in load.targets\n"
    );
}

#[test]
fn a_host_that_is_listed_as_ones_own_needs_no_word() {
    let bench = Bench::new();
    std::fs::write(bench.path("plimsoll.toml"), "[load]\ntargets = [\"api.example.invalid\"]\n").unwrap();
    let output = bench.load(&["http://api.example.invalid/"]);
    // It gets as far as asking for an address that does not exist.
    assert_exit(&output, 1);
    let shown = text(&output.stderr);
    assert!(
        shown.contains("error: the name `api.example.invalid` does not resolve") && shown.contains("hint: check how it is spelled"),
        "{shown}"
    );
}

#[test]
fn a_target_that_cannot_be_reached_is_a_failure_and_leaves_no_files() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (bench, url) = (Bench::new(), format!("http://127.0.0.1:{port}/"));
    for words in [&[][..], &["--find-limit"], &["--with-and-without", "--steps", "1,2"]] {
        let output = bench.load(&[&[url.as_str(), "--json", "run.json", "--html", "run.html"][..], words].concat());
        assert_exit(&output, 1);
        let shown = text(&output.stderr);
        assert!(shown.contains("error: cannot reach ") && shown.contains("hint: is the server running?"), "{shown}");
        assert!(!bench.path("run.json").exists() && !bench.path("run.html").exists());
    }
}

#[test]
fn https_to_a_port_that_speaks_http_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let output = Bench::new().load(&[&format!("https://{address}/feed"), "--rate", "1"]);
    server.join().unwrap();
    assert_exit(&output, 1);
    assert_eq!(
        text(&output.stderr),
        format!(
            "error: the TLS handshake with https://{address}/feed failed: what came back is not TLS\n\n\
             hint: does the server speak plain http there? try: http://{address}/feed\n"
        )
    );
}

#[test]
fn a_search_on_a_path_that_is_not_there_ends_at_once_and_says_the_status() {
    let api = Api::start();
    for words in [&["--find-limit"][..], &["--with-and-without"], &["--with-and-without", "--steps", "5"]] {
        let output = Bench::new().load(&[&[format!("{}/missing", api.url).as_str()][..], words].concat());
        assert_exit(&output, 1);
        let shown = text(&output.stderr);
        assert!(shown.contains("it answers 404 Not Found") && shown.contains("hint: check the path"), "{shown}");
    }
}

#[test]
fn an_edge_gets_no_second_one_in_front_of_it() {
    let (api, directory) = (Api::start(), tempfile::tempdir().unwrap());
    let file = format!("[[upstream]]\nname = \"o\"\nservers = [\"{}\"]\n[[route]]\nmatch = \"/*\"\nupstream = \"o\"\n", api.url);
    std::fs::write(directory.path().join("plimsoll.toml"), file).unwrap();
    let fleet = Launch::new(&["gateway"]).working_dir(directory.path()).fleet();
    let (bench, url) = (Bench::new(), format!("http://127.0.0.1:{}/whoami", fleet.port()));
    let output = bench.load(&[&url, "--with-and-without"]);
    assert_exit(&output, 2);
    let shown = text(&output.stderr);
    assert!(shown.contains("is already a Plimsoll edge") && shown.contains("hint: name the app's own port"), "{shown}");
    let output = bench.load(&[&url, "--find-limit", "--duration", "500ms", "--max-rate", "40", "--slo", "p99<5s"]);
    assert_exit(&output, 0);
    let shown = text(&output.stdout);
    assert!(shown.contains("note        this is already a Plimsoll edge") && !shown.contains("[[upstream]]"), "{shown}");
    assert!(shown.contains("limit       above 40 requests/s") && !shown.contains("\nknee "), "nothing was measured beyond: {shown}");
    assert!(text(&output.stderr).contains("this takes about"), "{}", text(&output.stderr));
    fleet.stop();
}

#[test]
fn a_result_that_cannot_be_written_is_refused_before_the_load() {
    let bench = Bench::new();
    let output = bench.load(&["http://localhost:1/", "--json", "nowhere/run.json"]);
    assert_exit(&output, 1);
    assert!(text(&output.stderr).contains("cannot write nowhere/run.json"), "{}", text(&output.stderr));
}

#[test]
fn a_file_that_is_no_report_is_refused_by_name() {
    let bench = Bench::new();
    for (content, error) in [("{}", "it is not a report"), (r#"{"format":9}"#, "it has format 9"), ("nonsense", "it is not a report")] {
        std::fs::write(bench.path("x.json"), content).unwrap();
        let output = bench.load(&["compare", "x.json", "x.json"]);
        assert_exit(&output, 2);
        let shown = text(&output.stderr);
        assert!(shown.contains(&format!("error: x.json: {error}")), "{shown}");
    }
}
