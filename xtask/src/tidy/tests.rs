//! The repository keeps the rules, and every rule can fail.

use super::source::Source;
use super::*;

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

/// The names of the rules that this file breaks.
fn broken(path: &str, text: &str) -> Vec<&'static str> {
    let source = source(path, text);
    let mut rules: Vec<_> = shapes::check(&source).into_iter().chain(bans::check(&source)).map(|finding| finding.rule).collect();
    rules.dedup();
    rules
}

#[test]
fn the_repository_is_tidy() {
    let findings: Vec<_> = findings().unwrap().iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn every_rule_finds_what_it_is_for() {
    let long = "x\n".repeat(701);
    let host = format!("see {}.{}\n", "crates", "io");
    let cases = [
        ("crates/gateway/src/listen.rs", "fn a() { unsafe { b() } }\n", "no-unsafe"),
        ("crates/gateway/src/listen.rs", "    let child = Command::new(\"sh\");\n", "processes-in-one-place"),
        ("crates/service/src/app.rs", "let key = std::env::var(\"KEY\");\n", "environment-in-config"),
        ("crates/service/src/app.rs", "query(\"SELECT 1\");\n", "sql-in-few-places"),
        ("crates/policy/src/cache.rs", "let text = std::fs::read(path);\n", "policy-is-pure"),
        ("crates/state/src/redis.rs", "let (a, b) = unbounded_channel();\n", "queues-are-bounded"),
        ("crates/gateway/src/probe.rs", "use std::time::{Duration, Instant};\n", "tokio-clock"),
        ("xtask/src/main.rs", "dbg!(1);\n", "no-leftovers"),
        ("crates/gateway/src/mod.rs", "//! Doc.\n", "no-mod-rs"),
        ("crates/gateway/src/utils.rs", "//! Doc.\n", "names-say-something"),
        ("crates/gateway/src/listen.rs", &long, "one-idea-per-file"),
        ("docs/api.md", "a \n", "clean-line-ends"),
        ("docs/api.md", "a", "clean-line-ends"),
        ("crates/state/src/lib.rs", "//! Doc.\npub fn open() {}\n", "lib-is-contents"),
        ("crates/new/Cargo.toml", "[package]\nname = \"new\"\n", "lints-everywhere"),
        ("docs/install.md", &host, "no-registry-hosts"),
        ("examples/fastapi/app.py", "# TODO: more\n", "work-has-an-issue"),
    ];
    for (path, text, rule) in cases {
        assert_eq!(broken(path, text), [rule], "{path}: {}", text.lines().next().unwrap_or_default());
    }
}

#[test]
fn the_places_made_for_it_are_exempt() {
    let cases = [
        ("crates/supervisor/src/process.rs", "let child = Command::new(\"sh\");\n"),
        ("crates/plimsoll/src/config/environment.rs", "let all = std::env::vars();\n"),
        ("crates/state/src/sqlite/schema.rs", "query(\"SELECT 1\");\n"),
        ("crates/testbed/src/redis.rs", "let child = Command::new(\"redis-server\");\n"),
        ("crates/plimsoll/tests/it/fleet.rs", "let child = Command::new(\"sh\");\n"),
        ("crates/gateway/src/listen.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}\n"),
        ("crates/gateway/src/listen.rs", "// Command::new is the supervisor's.\n"),
        ("crates/state/src/lib.rs", "//! Doc.\n\n#[cfg(test)]\nmod tests;\npub use a::{\n    B,\n    C,\n};\n"),
        ("crates/state/src/redis.rs", "// TODO(#12): clusters\n"),
        ("bench/runs/2026-11-21/raw.csv", "a,b \n"),
    ];
    for (path, text) in cases {
        assert_eq!(broken(path, text), [""; 0], "{path}: {text}");
    }
}

#[test]
fn a_missing_changelog_is_found() {
    let sources = ["ARCHITECTURE.md", "LICENSE", "README.md"].map(|path| source(path, "x\n"));
    let missing: Vec<_> = shapes::check_tree(&sources).into_iter().map(|finding| finding.path).collect();
    assert_eq!(missing, ["CHANGELOG.md"]);
}

#[test]
fn an_arrow_between_siblings_is_found_and_one_for_tests_is_not() {
    let package = |name: &str, dependency: &str, kind: &str| {
        format!(r#"{{"packages":[{{"name":"{name}","dependencies":[{{"name":"{dependency}","kind":{kind},"path":"/x"}}]}}]}}"#)
    };
    let count = |text: String| arrows::check(&serde_json::from_str(&text).unwrap()).len();
    assert_eq!(count(package("plimsoll-gateway", "plimsoll-supervisor", "null")), 1);
    assert_eq!(count(package("plimsoll-gateway", "plimsoll-policy", "null")), 0);
    assert_eq!(count(package("plimsoll-gateway", "plimsoll-testbed", "\"dev\"")), 0);
    assert_eq!(count(package("plimsoll-unheard-of", "plimsoll-policy", "null")), 1);
}
