//! `plimsoll load` as a user runs it: the real binary against real servers.

mod page;
mod refusals;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use plimsoll_testbed::capacity::{Config, Server};
use plimsoll_testbed::process::Process;
use plimsoll_testbed::{exchange, port};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::fleet::PATIENCE;
use crate::processes;

/// A hundred requests per second.
const CAPACITY: Config = Config::healthy(5, Duration::from_millis(50));

/// Where a run happens, and what it leaves there.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::Builder::new().prefix("plimsoll-it-").tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        command.env_clear().env(processes::MARK, self.0.path()).env("PATH", std::env::var_os("PATH").unwrap());
        command.current_dir(self.0.path()).args(words);
        command
    }

    fn load(&self, words: &[&str]) -> Output {
        self.command(&[&["load"], words].concat()).output().unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }
}

#[track_caller]
fn assert_exit(output: &Output, code: i32) {
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}--- standard error\n{error}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The reference API, started as an instance is.
struct Api {
    _process: Process,
    _directory: TempDir,
    url: String,
}

impl Api {
    fn start() -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), port::free());
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        command.arg("serve").env("PORT", port.to_string()).env("PLIMSOLL_DATA_DIR", directory.path().join("data"));
        let mut process = Process::start("api", &command, directory.path()).unwrap();
        process.wait_until(PATIENCE, "the API", || exchange::get(port, "/whoami").ok()).unwrap();
        Self { _process: process, _directory: directory, url: format!("http://127.0.0.1:{port}") }
    }
}

fn url(server: &Server) -> String {
    format!("http://127.0.0.1:{}/feed", server.port())
}

#[test]
fn several_requests_at_a_rate_are_answered_and_told() {
    let (bench, api) = (Bench::new(), Api::start());
    let requests = ["--request", "3 GET /whoami", "--request", "GET /health"];
    let pace = ["--rate", "60", "--duration", "2s", "--arrivals", "constant", "--slo", "p99<5s,errors<1%", "--json", "run.json"];
    let output = bench.load(&[&[api.url.as_str()][..], &requests, &pace].concat());
    assert_exit(&output, 0);
    let shown = text(&output.stdout);
    for part in ["open loop, constant arrivals", "60/s", "GET /whoami", "GET /health", "slo", "met"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(output.stderr.is_empty(), "where nobody sees a bar move there is none: {}", text(&output.stderr));
    let total = &bench.json("run.json")["lines"][0]["recordings"][0]["total"];
    assert_eq!((total["due"].as_u64(), total["good"].as_u64()), (Some(120), Some(120)));
}

#[test]
fn json_on_standard_output_is_nothing_but_json() {
    let (bench, server) = (Bench::new(), Server::start(CAPACITY, 0).unwrap());
    let output = bench.load(&[&url(&server), "--rate", "20", "--duration", "1s", "--json", "-"]);
    assert_exit(&output, 0);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["format"], 1);
}

#[test]
fn a_rate_brings_its_number_of_requests_and_goodput_is_judged_by_them() {
    let (bench, server) = (Bench::new(), Server::start(CAPACITY, 0).unwrap());
    let output = bench.load(&[&url(&server), "--rate", "40", "--duration", "2s", "--slo", "goodput>=40", "--json", "run.json"]);
    assert_exit(&output, 0);
    let shown = text(&output.stdout);
    assert!(shown.contains("Poisson") && shown.contains("goodput>=40 (40) met") && shown.contains("80  200 OK"), "{shown}");
    assert_eq!(bench.json("run.json")["lines"][0]["recordings"][0]["statuses"][0]["count"], 80);
}

#[test]
fn a_spike_comes_between_two_calm_parts() {
    let (bench, server) = (Bench::new(), Server::start(CAPACITY, 0).unwrap());
    let output = bench.load(&[&url(&server), "--rate", "20", "--spike", "60", "--duration", "3s", "--json", "run.json"]);
    assert_exit(&output, 0);
    let run = bench.json("run.json");
    let seconds = run["lines"][0]["recordings"][0]["seconds"].as_array().unwrap();
    let due: Vec<_> = seconds.iter().take(3).map(|second| second["due"].as_u64().unwrap()).collect();
    assert_eq!(due, [20, 60, 20]);
}

#[test]
fn a_fallback_is_known_by_the_mark_that_the_edge_puts_on_it() {
    assert_eq!(plimsoll_load::record::FALLBACK_HEADER, plimsoll_policy::fallback::layer::HEADER.as_str());
}

#[test]
fn a_closed_loop_is_labelled_as_such() {
    let (bench, server) = (Bench::new(), Server::start(CAPACITY, 0).unwrap());
    let output = bench.load(&[&url(&server), "--connections", "2", "--duration", "1s"]);
    assert_exit(&output, 0);
    let shown = text(&output.stdout);
    assert!(shown.contains("closed loop, 2 connections") && shown.contains("note: Closed loop:"), "{shown}");
}

#[test]
fn a_closed_loop_asks_no_faster_than_the_highest_rate_allowed() {
    let (bench, server) = (Bench::new(), Server::start(Config::healthy(50, Duration::from_millis(1)), 0).unwrap());
    let output = bench.load(&[&url(&server), "--connections", "4", "--duration", "2s", "--max-rate", "50", "--json", "run.json"]);
    assert_exit(&output, 0);
    let due = bench.json("run.json")["lines"][0]["recordings"][0]["total"]["due"].as_u64().unwrap();
    assert!((60..=102).contains(&due), "{due} in two seconds at 50/s");
}

#[test]
fn a_missed_promise_ends_with_3_and_says_which() {
    let (bench, server) = (Bench::new(), Server::start(CAPACITY, 0).unwrap());
    let output = bench.load(&[&url(&server), "--rate", "20", "--duration", "1s", "--slo", "p50<10ms,errors<1%"]);
    assert_exit(&output, 3);
    let shown = text(&output.stdout);
    assert!(shown.contains("MISSED") && shown.contains("errors<1% (0%) met"), "{shown}");
    assert_eq!(text(&output.stderr), "error: the promise was missed: p50<10ms,errors<1%\n");
}

#[test]
fn a_run_that_is_interrupted_tells_what_it_has() {
    let (bench, server) = (Bench::new(), Server::start(CAPACITY, 0).unwrap());
    let command = bench.command(&["load", &url(&server), "--rate", "50", "--duration", "5m", "--json", "part.json"]);
    let mut process = Process::start("load", &command, bench.0.path()).unwrap();
    process.wait_until(PATIENCE, "load to arrive", || (server.arrived() > 20).then_some(())).unwrap();
    processes::signal(process.id(), Signal::INT);
    let exit = process.wait_until(PATIENCE, "the end", || None::<()>);
    assert!(exit.is_err(), "it ends");
    assert_eq!(process.exit_status().unwrap().code(), Some(0), "{}", process.log());
    assert!(process.log().contains("stopped early"), "{}", process.log());
    assert_eq!(bench.json("part.json")["lines"][0]["recordings"][0]["stopped_early"], true);
}

#[test]
fn a_server_that_got_slower_is_told_from_chance() {
    let bench = Bench::new();
    for (file, ms) in [("fast.json", 20), ("slow.json", 40), ("again.json", 20)] {
        let server = Server::start(Config::healthy(50, Duration::from_millis(ms)), 0).unwrap();
        assert_exit(&bench.load(&[&url(&server), "--rate", "50", "--duration", "6s", "--json", file]), 0);
    }
    let compare = |words: &[&str]| bench.load(&[&["compare"], words].concat());
    let worse = compare(&["fast.json", "slow.json", "--fail-if-worse"]);
    assert_exit(&worse, 3);
    assert!(text(&worse.stdout).contains("WORSE"), "{}", text(&worse.stdout));
    assert_eq!(text(&worse.stderr), "error: it got worse, by more than chance\n");
    assert_exit(&compare(&["fast.json", "slow.json"]), 0);
    let better = compare(&["slow.json", "fast.json", "--json", "--fail-if-worse"]);
    assert_exit(&better, 0);
    let json: Value = serde_json::from_slice(&better.stdout).unwrap();
    let p50 = json["rows"].as_array().unwrap().iter().find(|row| row["figure"] == "p50").unwrap();
    assert_eq!(p50["outcome"], "better");
}

#[test]
fn the_limit_is_found_and_its_proposal_is_a_file_that_check_accepts() {
    let (bench, server) = (Bench::new(), Server::start(CAPACITY, 0).unwrap());
    let words = ["--find-limit", "--duration", "1s", "--arrivals", "constant", "--max-rate", "250", "--json", "limit.json"];
    let output = bench.load(&[&[url(&server).as_str()][..], &words].concat());
    assert_exit(&output, 0);
    let limit = &bench.json("limit.json")["limit"];
    // A second is short: what is asserted here is the verb, the search has its own proof.
    let rate = limit["found"]["limit"]["rate"].as_f64().unwrap();
    assert!((70.0..=140.0).contains(&rate), "{rate} of 100/s: {}", text(&output.stdout));
    assert!(!limit["beyond"].as_array().unwrap().is_empty(), "{limit}");
    let shown = text(&output.stdout);
    for part in ["\nlimit ", "\nknee ", "\nbeyond it ", "\nguess ", "proposed plimsoll.toml"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(text(&output.stderr).contains("holds\n"), "each step is told: {}", text(&output.stderr));
    std::fs::write(bench.path("proposed.toml"), limit["proposal"].as_str().unwrap()).unwrap();
    let check = bench.command(&["check", "--config", "proposed.toml"]).output().unwrap();
    assert_exit(&check, 0);
    assert!(!text(&check.stdout).contains("warning") && check.stderr.is_empty(), "{}", text(&check.stdout));
}

#[test]
fn the_same_load_goes_straight_to_the_app_and_through_an_edge_that_is_gone_afterwards() {
    let (bench, server) = (Bench::new(), Server::start(CAPACITY, 0).unwrap());
    let words = ["--with-and-without", "--steps", "40,300", "--duration", "3s", "--json", "both.json", "--svg", "both.svg"];
    let output = bench.load(&[&[url(&server).as_str()][..], &words].concat());
    assert_exit(&output, 0);
    let json = bench.json("both.json");
    let goodput = |line: usize, step: usize| {
        let recording = &json["lines"][line]["recordings"][step];
        recording["total"]["good"].as_f64().unwrap() / recording["lasted"].as_f64().unwrap()
    };
    for line in 0..2 {
        assert!(goodput(line, 0) > 30.0, "calm load is served either way: {}", text(&output.stdout));
    }
    let (alone, with) = (goodput(0, 1), goodput(1, 1));
    assert!(with > 1.3 * alone && with > 60.0, "at three times the capacity: {with:.0}/s with the edge, {alone:.0}/s without");
    let picture = std::fs::read_to_string(bench.path("both.svg")).unwrap();
    assert!(picture.contains(">with plimsoll</text>") && picture.contains(">alone</text>"), "{picture}");
    assert!(processes::marked(&bench.0.path().display().to_string()).is_empty(), "nothing is left running");
}

#[test]
fn with_an_edge_in_front_it_is_the_edge_that_is_held_to_the_promise() {
    let (bench, server) = (Bench::new(), Server::start(CAPACITY, 0).unwrap());
    let words = ["--with-and-without", "--steps", "20,40", "--duration", "1s", "--slo"];
    let both = |slo| bench.load(&[&[url(&server).as_str()][..], &words, &[slo]].concat());
    let kept = both("p99<5s,errors<1%");
    assert_exit(&kept, 0);
    let shown = text(&kept.stdout);
    for part in ["slo         alone at 20/s: p99<5s", "alone at 40/s", "with plimsoll at 20/s", "with plimsoll at 40/s"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let missed = both("p50<10ms");
    assert_exit(&missed, 3);
    let shown = text(&missed.stderr);
    assert!(shown.ends_with("error: the promise was missed with plimsoll in front: p50<10ms\n"), "{shown}");
}

#[test]
fn runs_without_anything_in_common_are_not_called_no_worse() {
    let (bench, server) = (Bench::new(), Server::start(CAPACITY, 0).unwrap());
    for (rate, file) in [("20", "one.json"), ("30", "other.json")] {
        assert_exit(&bench.load(&[&url(&server), "--rate", rate, "--duration", "1s", "--json", file]), 0);
    }
    for (other, reason) in [
        ("other.json", "the two have no load in common (20/s only before, 30/s only after)"),
        ("one.json", "too short to tell: each stage needs at least five seconds in both runs"),
    ] {
        let output = bench.load(&["compare", "one.json", other, "--fail-if-worse"]);
        assert_exit(&output, 2);
        let shown = text(&output.stderr);
        assert!(shown.contains(&format!("error: nothing could be compared: {reason}")), "{shown}");
        assert_exit(&bench.load(&["compare", "one.json", other]), 0);
    }
}

#[test]
fn help_says_what_can_be_asked() {
    let bench = Bench::new();
    insta::assert_snapshot!("help_load", text(&bench.load(&["--help"]).stdout));
    insta::assert_snapshot!("help_load_compare", text(&bench.load(&["compare", "--help"]).stdout));
}
