//! What an operator sets and asks: flags and their variables, the file, `plimsoll status`.

use std::path::Path;
use std::process::{Command, Output};

use plimsoll_testbed::port;

use crate::fleet::{Fleet, Launch};
use crate::http::Request;

fn status(directory: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.env_clear().arg("status").args(words).current_dir(directory).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn status_finds_the_fleet_through_its_data_directory() {
    let directory = tempfile::tempdir().unwrap();
    // Where it is when nobody says.
    let fleet = Launch::new(&["up"]).data_dir(directory.path().join(".plimsoll")).fleet();
    for _ in 0..50 {
        fleet.client().get("/whoami");
    }
    let named = ["--data-dir", &fleet.data_dir().display().to_string()];
    for (place, words) in [(directory.path(), &[][..]), (Path::new("/"), &named[..])] {
        let output = status(place, words);
        let table = text(&output.stdout);
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{table}");
        assert!(table.contains(&format!("http://localhost:{}", fleet.port())) && table.contains("requests/s"), "{table}");
        assert!(
            table.contains("\nrates, percentiles and shares: the last ") && table.contains(" s; restarts and retries: since"),
            "{table}"
        );
        for (instance, pid) in fleet.pids() {
            let row = table.lines().find(|line| line.starts_with(&instance)).unwrap_or_else(|| panic!("{table}"));
            let words: Vec<_> = row.split_whitespace().collect();
            assert_eq!(words[1..3], ["ready", &pid.to_string()], "{table}");
        }
    }
    let json: serde_json::Value = serde_json::from_slice(&status(directory.path(), &["--json"]).stdout).unwrap();
    assert_eq!(json["instances"].as_array().unwrap().len(), 3);
    assert_eq!((&json["pid"], &json["edge"]["requests_total"]), (&fleet.pid().into(), &50.into()), "{json}");
    fleet.stop();

    let output = status(directory.path(), &[]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""));
    let error = text(&output.stderr);
    assert!(error.starts_with("error: cannot reach the fleet") && error.contains("\n\nhint: no fleet runs"), "{error}");
}

fn instances(fleet: &Fleet) -> usize {
    fleet.status()["instances"].as_array().unwrap().len()
}

#[test]
fn each_flag_has_a_variable_and_the_flag_is_stronger() {
    let directory = tempfile::tempdir().unwrap();
    let [port, admin_port, other_port] = std::array::from_fn(|_| port::free());
    let data_dir = directory.path().join("data");
    let file = directory.path().join("other.toml");
    std::fs::write(&file, "[gateway]\nport = 1\n[fleet]\ninstances = 7\n[gateway.limits]\ntarget_bytes_max = 64\n").unwrap();
    let by_variables = |words: &[&str]| {
        let launch = Launch::new(words).without_flags().working_dir(directory.path());
        let launch = launch.variable("PLIMSOLL_PORT", port.to_string()).variable("PLIMSOLL_ADMIN_PORT", admin_port.to_string());
        let launch = launch.variable("PLIMSOLL_INSTANCES", "2").variable("PLIMSOLL_DATA_DIR", data_dir.display().to_string());
        launch.variable("PLIMSOLL_CONFIG", file.display().to_string()).variable("PLIMSOLL__GATEWAY__PORT", "2")
    };
    let fleet = by_variables(&["up"]).fleet();
    assert_eq!((fleet.port(), fleet.admin_port(), instances(&fleet)), (port, admin_port, 2));
    assert!(data_dir.join("state.db").is_file(), "the state is where it was asked for");
    assert_eq!(fleet.client().ask(&Request::get(format!("/{}", "x".repeat(100)))).status, 414, "the file was read");
    fleet.stop();

    let fleet = by_variables(&["up", "--instances", "1", "--port", &other_port.to_string()]).fleet();
    assert_eq!((fleet.port(), fleet.admin_port(), instances(&fleet)), (other_port, admin_port, 1));
    fleet.stop();
}

#[test]
fn without_a_verb_it_is_up_and_the_banner_says_what_to_try() {
    let fleet = Launch::new(&[]).fleet();
    let log = fleet.log();
    for line in [
        "plimsoll 0.1.0 is up",
        &format!("  gateway    http://localhost:{}", fleet.port()),
        &format!("  dashboard  http://localhost:{}", fleet.admin_port()),
        &format!("try    curl -i localhost:{}/whoami", fleet.port()),
    ] {
        assert!(log.lines().any(|each| each == line), "`{line}` is missing in:\n{log}");
    }
    let order: Vec<_> = ["  on   ", "  off  ", "  instances  api-1 api-2 api-3"].iter().map(|part| log.contains(part)).collect();
    assert_eq!(order, [true; 3], "{log}");
    fleet.stop();
}

#[test]
fn run_starts_one_instance_per_core_but_two_at_least() {
    let fleet = Launch::run(&["python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]).fleet();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    assert_eq!(instances(&fleet), cores.max(2));
    fleet.stop();
}
