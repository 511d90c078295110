//! `check`, `explain`, `--help` and errors as a user sees them, through the real binary.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Runs plimsoll in `directory`, its environment empty but for `variables`.
fn plimsoll(directory: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.env_clear().envs(variables.iter().copied()).current_dir(directory).args(arguments);
    command.output().unwrap()
}

/// Everything a user sees: both streams and the exit code.
fn shown(output: &Output) -> String {
    let mut text = String::from_utf8(output.stdout.clone()).unwrap();
    if !output.stderr.is_empty() {
        write!(text, "--- standard error\n{}", String::from_utf8_lossy(&output.stderr)).unwrap();
    }
    write!(text, "--- exit code {}", output.status.code().unwrap()).unwrap();
    text
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", shown(output)))
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/config")
}

fn repository(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One snapshot for each file in `tests/it/config`.
#[test]
fn check_shows_every_mistake_with_its_place_and_what_to_do() {
    let mut names: Vec<_> = std::fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        let output = plimsoll(&cases(), &[], &["check", "--config", &name]);
        insta::assert_snapshot!(format!("check_{}", name.trim_end_matches(".toml")), shown(&output));
    }
}

#[test]
fn check_says_ok_with_warnings_and_without_a_file() {
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(
        shown(&plimsoll(empty.path(), &[], &["check"])),
        "ok: no plimsoll.toml here, the defaults hold (0 settings, 0 upstreams, 0 routes)\n--- exit code 0"
    );
    std::fs::write(empty.path().join("plimsoll.toml"), "[gateway]\nport = 9000\n").unwrap();
    assert_eq!(shown(&plimsoll(empty.path(), &[], &["check"])), "ok: plimsoll.toml (1 setting, 0 upstreams, 0 routes)\n--- exit code 0");
    assert_eq!(plimsoll(&cases(), &[], &["check", "--config", "warnings.toml"]).status.code(), Some(0));
}

#[test]
fn check_reports_to_machines() {
    let output = plimsoll(&cases(), &[("PLIMSOLL__GATEWAY__PROT", "1")], &["check", "--config", "keys.toml", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let json = json(&output);
    assert_eq!(json["ok"], false);
    let first = &json["mistakes"][0];
    assert_eq!((&first["severity"], &first["hint"]), (&"error".into(), &"did you mean `data_dir`?".into()));
    assert_eq!(first["place"], serde_json::json!({ "kind": "file", "name": "keys.toml", "line": 1, "column": 1 }));
    let last = json["mistakes"].as_array().unwrap().last().unwrap();
    assert_eq!(last["place"], serde_json::json!({ "kind": "environment", "name": "PLIMSOLL__GATEWAY__PROT" }));
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let empty = tempfile::tempdir().unwrap();
    let by_variable: &[_] = &[("PLIMSOLL_CONFIG", "x.toml")];
    let named = [
        (&[][..], &["check", "--config", "x.toml"][..]),
        (&[], &["gateway", "--config", "x.toml"]),
        (&[], &["--config", "x.toml"]),
        (by_variable, &["explain"]),
    ];
    for (variables, arguments) in named {
        let output = plimsoll(empty.path(), variables, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(shown(&output).contains("cannot read x.toml: No such file or directory"), "{}", shown(&output));
    }
}

#[test]
fn mistakes_in_variables_and_flags_are_shown_where_they_are() {
    let empty = tempfile::tempdir().unwrap();
    let variables = [
        ("PLIMSOLL__GATEWAY__TIMEOUTS__HAED", "5s"),
        ("PLIMSOLL__ADMIN__TOKEN", "hunter2"),
        ("PLIMSOLL_INSTANCES", "many"),
        ("PLIMSOLL_PROT", "9000"),
        ("PLIMSOLL_GATEWAY_PORT", "9000"),
        ("PLIMSOLL_DEBUG", "1"),
        ("PLIMSOLL_SERVICE_HOST", "10.0.0.1"),
    ];
    let output = plimsoll(empty.path(), &variables, &["explain", "--port", "99999", "--admin-port=-1", "--data-dir", ""]);
    insta::assert_snapshot!(shown(&output));
}

#[test]
fn explain_shows_values_origins_and_the_policy_order() {
    let directory = tempfile::tempdir().unwrap();
    let file = "data_dir = \"/var/lib/plimsoll\"\n\n[gateway.timeouts]\nhead = \"5s\"\n\n[admin]\ntoken = \"hunter2-hunter2-hunter2\"\n\n[state]\nurl = \"redis://ada:hunter2@localhost\"\n\n[[upstream]]\nname = \"origin\"\nservers = [\"http://127.0.0.1:9100\"]\n\n[[route]]\nmatch = \"/*\"\nupstream = \"origin\"\n";
    std::fs::write(directory.path().join("plimsoll.toml"), file).unwrap();
    let variables = [
        ("PLIMSOLL_ADMIN_PORT", "9001"),
        ("PLIMSOLL__LOG__LEVEL", "debug"),
        ("PLIMSOLL__SERVICE__SESSION_KEYS", "hunter2-hunter2-hunter2-hunter2-hunter2"),
    ];
    let output = plimsoll(directory.path(), &variables, &["explain", "--port", "9000"]);
    insta::assert_snapshot!(shown(&output));
}

/// In text and in JSON, valid or not, from a file or a variable.
#[test]
fn secrets_are_never_printed() {
    let directory = tempfile::tempdir().unwrap();
    let long = "hunter2-".repeat(5);
    let files = [
        format!("[admin]\ntoken = \"{long}\"\n[service]\nsession_keys = [\"{long}\"]\n[state]\nurl = \"redis://ada:{long}@localhost\"\n"),
        "[admin]\ntoken = \"hunter2\"\n[service]\nsession_keys = [\"hunter2\", 5, \"hunter2\"]\n[state]\nurl = \"http://ada:hunter2@localhost\"\n".to_owned(),
        "[admin]\ntoken = \"hunter2\n[service]\nsession_keys = [\"hunter2\" \"hunter2\"]\n[state]\nurl = redis://ada:hunter2@localhost\n".to_owned(),
    ];
    for file in files {
        std::fs::write(directory.path().join("plimsoll.toml"), file).unwrap();
        for arguments in [
            &["check"][..],
            &["check", "--json"],
            &["explain"],
            &["explain", "--json"],
            &["explain", "admin.token"],
            &["explain", "state"],
            &["up"],
        ] {
            let output =
                shown(&plimsoll(directory.path(), &[("PLIMSOLL__ADMIN__TOKN", "hunter2"), ("PLIMSOLL__STATE__URL", "hunter2")], arguments));
            assert!(!output.contains("hunter2"), "{arguments:?}: {output}");
        }
    }
}

#[test]
fn explain_tells_about_one_setting_one_table_and_what_is_near() {
    let empty = tempfile::tempdir().unwrap();
    let explain = |arguments: &[&str]| shown(&plimsoll(empty.path(), &[], &[&["explain"], arguments].concat()));
    insta::assert_snapshot!("explain_setting", explain(&["gateway.port"]));
    insta::assert_snapshot!("explain_table", explain(&["gateway.retry"]));
    insta::assert_snapshot!("explain_route", explain(&["route"]));
    insta::assert_snapshot!("explain_unknown", explain(&["gateway.prot"]));
    for (key, meant) in [("gateway.timeout", "gateway.timeouts"), ("timeouts.head", "gateway.timeouts.head"), ("route.mach", "route.match")]
    {
        let shown = explain(&[key]);
        assert!(shown.contains(&format!("did you mean `plimsoll explain {meant}`?")), "{shown}");
    }
    assert!(explain(&["port"]).contains("did you mean `plimsoll explain gateway.port` or `plimsoll explain gateway.tls.port`"));
}

#[test]
fn explain_tells_machines_the_same() {
    let empty = tempfile::tempdir().unwrap();
    let json = json(&plimsoll(empty.path(), &[("PLIMSOLL_PORT", "9000")], &["explain", "--json"]));
    let settings = json["settings"].as_array().unwrap();
    let port = settings.iter().find(|setting| setting["key"] == "gateway.port").unwrap();
    assert_eq!((&port["value"], &port["default"]), (&"9000".into(), &"8080".into()));
    assert_eq!(port["origin"], serde_json::json!({ "kind": "environment", "name": "PLIMSOLL_PORT" }));
    assert!(json["policy_order"].as_array().unwrap().len() > 3);
    assert_eq!(json["file"], Value::Null);
}

/// What a start would stumble over later is shown with everything else, and each file by its own place in the list.
#[test]
fn check_looks_at_certificates_whatever_else_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let file = "prot = 1\n\n[gateway.tls]\ncertificates = [\"a.pem\", { chain = \"b.pem\", key = \"b.key\" }]\n";
    std::fs::write(directory.path().join("plimsoll.toml"), file).unwrap();
    insta::assert_snapshot!(shown(&plimsoll(directory.path(), &[], &["check"])));
    let by_variable = [("PLIMSOLL__GATEWAY__TLS__CERTIFICATES", "a.pem, b.pem")];
    let output = shown(&plimsoll(directory.path(), &by_variable, &["check"]));
    let carets = |name: &str, before: usize| {
        let line = format!("PLIMSOLL__GATEWAY__TLS__CERTIFICATES=a.pem, b.pem\n  | {}^^^^^\n", " ".repeat(before));
        assert!(output.contains(&line), "{name} alone: {output}");
    };
    carets("a.pem", "PLIMSOLL__GATEWAY__TLS__CERTIFICATES=".len());
    carets("b.pem", "PLIMSOLL__GATEWAY__TLS__CERTIFICATES=a.pem, ".len());
}

#[test]
fn check_warns_of_a_host_that_no_certificate_holds_for() {
    let directory = tempfile::tempdir().unwrap();
    let names = ["shop.example", "*.shop.example"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let both = directory.path().join("both.pem");
    std::fs::write(&both, made.cert.pem() + &made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&both, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let hosts = ["Shop.example", "api.shop.example", "*.shop.example", "a.b.shop.example", "other.example"];
    let routes = hosts.map(|host| format!("[[route]]\nmatch = \"/*\"\nhost = \"{host}\"\nrespond = 204\n"));
    let file = format!("[gateway.tls]\ncertificates = [\"both.pem\"]\n{}", routes.concat());
    std::fs::write(directory.path().join("plimsoll.toml"), file).unwrap();
    let json = json(&plimsoll(directory.path(), &[], &["check", "gateway", "--json"]));
    let warned: Vec<_> = json["mistakes"].as_array().unwrap().iter().map(|mistake| mistake["message"].as_str().unwrap()).collect();
    let told = |host: &str| warned.iter().any(|message| message.starts_with(&format!("no certificate holds for {host}:")));
    assert_eq!((warned.len(), told("a.b.shop.example"), told("other.example")), (2, true, true), "{warned:?}");
    assert_eq!(json["ok"], true);
}

/// `check` accepts exactly what a start would accept.
#[test]
fn check_says_which_verbs_would_start() {
    let directory = tempfile::tempdir().unwrap();
    let check = |file: &str, arguments: &[&str]| {
        std::fs::write(directory.path().join("plimsoll.toml"), file).unwrap();
        plimsoll(directory.path(), &[], &[&["check"], arguments].concat())
    };
    let lone = "[[route]]\nmatch = \"/x\"\n";
    let output = check(lone, &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(shown(&output).contains("not for `plimsoll gateway`: the gateway has nowhere to send requests"), "{}", shown(&output));
    assert_eq!(json(&check(lone, &["--json"]))["verbs"], serde_json::json!(["run", "up"]));
    assert_eq!(check(lone, &["run"]).status.code(), Some(0));
    let refused = check(lone, &["gateway"]);
    let started = plimsoll(directory.path(), &[], &["gateway"]);
    assert_eq!((refused.status.code(), started.status.code()), (Some(2), Some(2)));
    let why = "the gateway has nowhere to send requests: no [[upstream]] is configured";
    assert!(shown(&refused).contains(why) && shown(&started).contains(why), "{}", shown(&refused));
    let whole = "[[upstream]]\nname = \"origin\"\nservers = [\"http://127.0.0.1:9\"]\n[[route]]\nmatch = \"/*\"\nupstream = \"origin\"\n";
    assert_eq!(json(&check(whole, &["--json"]))["verbs"], serde_json::json!(["gateway", "run", "up"]));
}

#[test]
fn explain_takes_a_request_as_it_is_pasted_and_asks_about_slips() {
    let empty = tempfile::tempdir().unwrap();
    let explain = |arguments: &[&str]| shown(&plimsoll(empty.path(), &[], &[&["explain"], arguments].concat()));
    assert_eq!(explain(&["PUT https://shop.example/x?y=1"]), explain(&["put", "https://shop.example/x?y=1"]));
    for (slip, meant) in [("gte", "GET"), ("PSOT", "POST"), ("Delte", "DELETE")] {
        assert!(explain(&[slip, "/x"]).contains(&format!("`{slip}` is not a method\n\nhint: did you mean {meant}?")), "{slip}");
    }
    assert!(explain(&["PURGE", "/x"]).contains("PURGE localhost/x"), "a method of one's own");
}

/// To write them anew: `plimsoll explain --reference toml > plimsoll.toml`, `--reference markdown > docs/configuration.md`.
#[test]
fn the_repository_shows_the_defaults_as_they_are() {
    let empty = tempfile::tempdir().unwrap();
    for (format, file) in [("toml", "plimsoll.toml"), ("markdown", "docs/configuration.md")] {
        let output = plimsoll(empty.path(), &[], &["explain", "--reference", format]);
        let written = String::from_utf8(output.stdout).unwrap();
        assert!(written == repository(file), "write it anew: cargo run -q -- explain --reference {format} > {file}");
    }
}

#[test]
fn help_fits_every_verb() {
    let empty = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("help", shown(&plimsoll(empty.path(), &[], &["--help"])));
    for verb in ["up", "run", "gateway", "serve", "status", "check", "explain"] {
        insta::assert_snapshot!(format!("help_{verb}"), shown(&plimsoll(empty.path(), &[], &[verb, "--help"])));
    }
}

#[test]
fn run_without_a_command_says_what_is_missing() {
    let empty = tempfile::tempdir().unwrap();
    for arguments in [&["run"][..], &["run", "--port", "9000"], &["run", "--"]] {
        let output = plimsoll(empty.path(), &[], arguments);
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "error: run needs the command that starts your server\n\nhint: plimsoll run -- uvicorn app:app\n"
        );
        assert_eq!(output.status.code(), Some(2));
    }
}

/// Each of these stops at the configuration, so nothing is started.
#[test]
fn every_starting_verb_refuses_a_broken_configuration() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("plimsoll.toml"), "[gateway]\nprot = 1\n").unwrap();
    for arguments in
        [&[][..], &["--port", "0"], &["up"], &["run", "--", "true"], &["run", "--ready-path", "/x", "true"], &["gateway"], &["serve"]]
    {
        let output = plimsoll(directory.path(), &[], arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", shown(&output));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("unknown key `prot` in [gateway]") && text.ends_with("error: the configuration has 1 mistake\n"), "{text}");
    }
}

/// Some systems take it for 127.0.0.1, name servers for a name.
#[test]
fn a_host_that_is_neither_a_name_nor_an_address_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = "[[upstream]]\nname = \"origin\"\nservers = [\"http://127.1:7788\"]\n[[route]]\nmatch = \"/*\"\n";
    std::fs::write(directory.path().join("plimsoll.toml"), file).unwrap();
    let output = plimsoll(directory.path(), &[], &["gateway"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("`127.1` is neither a name nor an address"), "{text}");
}

#[test]
fn the_ready_path_is_a_setting_like_any_other() {
    let empty = tempfile::tempdir().unwrap();
    let output = plimsoll(empty.path(), &[], &["run", "--ready-path", "health", "--", "true"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("gateway.health.path: `health` does not begin with a slash") && text.contains("--ready-path health"), "{text}");
}
