//! Each shape: what it takes, what it refuses and with which words, and that it reads back what it prints.

use std::time::Duration;

use proptest::prelude::*;
use toml::de::{DeTable, DeValue};

use super::*;
use crate::config::settings::Balance;

/// Reads a value as it stands in a file; the errors are `message | hint`.
fn toml<S: Shape>(shape: &S, value: &str) -> Result<S::Value, Vec<String>> {
    let text = format!("key = {value}");
    let table = DeTable::parse(&text).unwrap();
    let value: &toml::Spanned<DeValue<'_>> = table.get_ref().get("key").unwrap();
    shape
        .read(&Raw::toml(value))
        .map_err(|faults| faults.into_iter().map(|fault| format!("{} | {}", fault.message, fault.hint.unwrap_or_default())).collect())
}

/// Reads a value as it stands in a variable.
fn variable<S: Shape>(shape: &S, value: &str) -> Option<S::Value> {
    shape.read(&Raw::text(value, 0)).ok()
}

#[track_caller]
fn refuses<S: Shape>(shape: &S, value: &str, words: &str)
where
    S::Value: std::fmt::Debug,
{
    let faults = toml(shape, value).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains(words), "{value}: {}", faults[0]);
}

#[test]
fn whole_numbers_keep_their_bounds() {
    let shape = Whole(1_u16..=100);
    for (written, value) in [("1", 1), ("100", 100), ("0x10", 16), ("1_0", 10)] {
        assert_eq!(toml(&shape, written), Ok(value));
    }
    assert_eq!(variable(&shape, " 42 "), Some(42));
    for out_of_range in ["0", "101", "-1", "65536", "9223372036854775807"] {
        refuses(&shape, out_of_range, "out of range | write a whole number from 1 to 100");
    }
    refuses(&shape, "\"8\"", "remove the quotes: 8");
    refuses(&shape, "1.5", "found a float");
    assert_eq!(variable(&shape, ""), None);
    assert_eq!(variable(&shape, "many"), None);
}

#[test]
fn shares_lie_between_nothing_and_everything() {
    assert_eq!(toml(&Share, "0.25"), Ok(0.25));
    assert_eq!(toml(&Share, "1"), Ok(1.0));
    assert_eq!(variable(&Share, "0"), Some(0.0));
    refuses(&Share, "25", "25 percent is 0.25");
    refuses(&Share, "-0.1", "out of range");
    refuses(&Share, "nan", "out of range");
    refuses(&Share, "\"0.5\"", "expected a number");
}

#[test]
fn durations_have_a_unit_and_bounds() {
    let shape = Time(MS..=DAY);
    let values = [("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000), ("1d", 86_400_000), ("2 s", 2_000)];
    for (written, millis) in values {
        assert_eq!(toml(&shape, &quote(written)), Ok(Duration::from_millis(millis)));
        assert_eq!(variable(&shape, written), Some(Duration::from_millis(millis)));
    }
    refuses(&shape, "10", "a duration needs a unit | write \"10s\"");
    refuses(&shape, "\"10\"", "`10` has no unit");
    refuses(&shape, "\"s\"", "does not begin with a whole number");
    refuses(&shape, "\"1.5s\"", "`.5s` is not a unit of time");
    refuses(&shape, "\"-1s\"", "does not begin with a whole number");
    refuses(&shape, "\"0s\"", "zero would end everything");
    refuses(&shape, "\"25h\"", "out of range | write a duration from 1ms to 1d");
    refuses(&shape, "\"99999999999999999999s\"", "too long a time");
    refuses(&shape, "\"9999999999999999999d\"", "too long a time");
    refuses(&shape, "true", "found a boolean");
    assert_eq!(variable(&shape, "10"), None);
}

#[test]
fn sizes_have_binary_units() {
    let shape = Size(0..=TIB);
    for (written, bytes) in
        [("65536", 65_536), ("\"64KiB\"", 65_536), ("\"2GiB\"", 2 << 30), ("\"1TiB\"", TIB), ("\"0\"", 0), ("\"7B\"", 7)]
    {
        match toml(&shape, written) {
            Ok(value) => assert_eq!(value, bytes),
            Err(_) => assert_eq!(written, "\"0\"", "a number in quotes without a unit"),
        }
    }
    assert_eq!(variable(&shape, "65536"), Some(65_536));
    assert_eq!(variable(&shape, "64 KiB"), Some(65_536));
    refuses(&shape, "\"64KB\"", "did you mean \"64KiB\"?");
    refuses(&shape, "\"64k\"", "did you mean \"64KiB\"?");
    refuses(&shape, "\"big\"", "is not a size");
    refuses(&shape, "\"2TiB\"", "out of range | write a size from 0 to 1TiB");
    refuses(&shape, "-1", "out of range");
    refuses(&shape, "\"99999999999TiB\"", "too large");
}

#[test]
fn choices_suggest_the_nearest_word() {
    let shape = Choice::<Balance>::new();
    assert_eq!(toml(&shape, "\"round_robin\""), Ok(Balance::RoundRobin));
    refuses(&shape, "\"round-robin\"", "did you mean \"round_robin\"?");
    refuses(&shape, "\"random\"", "\"round_robin\" or \"least_connections\"");
    refuses(&shape, "1", "expected a string");
}

#[test]
fn networks_are_whole_and_a_lone_address_is_one() {
    let shape = List(Network);
    let networks = toml(&shape, r#"["10.0.0.0/8", "192.0.2.1", "fd00::/8"]"#).unwrap();
    assert_eq!(networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8"]);
    assert_eq!(variable(&shape, "10.0.0.0/8, 192.0.2.1").map(|networks| networks.len()), Some(2));
    assert_eq!(variable(&shape, ""), Some(Vec::new()));
    refuses(&shape, "[\"10.1.0.0/8\"]", "write \"10.0.0.0/8\" for the network");
    refuses(&shape, "\"10.0.0.0/8\"", "put it in brackets");
    let faults = toml(&shape, "[1, \"x\", \"10.0.0.0/33\"]").unwrap_err();
    assert_eq!(faults.len(), 3, "each element has its own: {faults:?}");
}

#[test]
fn addresses_say_what_was_probably_meant() {
    assert_eq!(toml(&Address, "\"::1\""), Ok("::1".parse().unwrap()));
    refuses(&Address, "\"localhost\"", "127.0.0.1");
    refuses(&Address, "\"0.0.0.0:80\"", "the port has its own setting");
    refuses(&Address, "\"*\"", "0.0.0.0");
}

#[test]
fn host_names_have_no_port_and_no_wildcard() {
    assert_eq!(toml(&HostName, "\"API.example.com\""), Ok("api.example.com".to_owned()));
    refuses(&HostName, "\"a.example:80\"", "leave the port out: \"a.example\"");
    refuses(&HostName, "\"*.example\"", "a wildcard has no place here");
    assert_eq!(toml(&HostPattern, "\"*.Example.com\""), Ok("*.example.com".to_owned()));
    refuses(&HostPattern, "\"*.a:80\"", "leave the port out");
    refuses(&HostPattern, "\"*.[::1]\"", "nothing is below an address");
    refuses(&HostPattern, "\"a.*\"", "is not a host name");
    refuses(&HostName, "\"a..b\"", "is not a host name");
    refuses(&HostName, "\"\"", "is not a host name");
}

#[test]
fn secrets_are_long_enough_and_no_fault_repeats_them() {
    let shape = SecretText { length_min: 16, may_be_empty: true };
    assert_eq!(toml(&shape, "\"0123456789abcdef\"").unwrap().expose(), "0123456789abcdef");
    assert!(toml(&shape, "\"\"").unwrap().is_empty());
    for bad in ["hunter2", "hunter2 with spaces in it", "hunter2-\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}"] {
        let faults = toml(&shape, &quote(bad)).unwrap_err();
        assert!(!faults[0].contains("hunter2"), "{faults:?}");
    }
    refuses(&SecretText { length_min: 32, may_be_empty: false }, "\"\"", "0 characters are too few");
    assert_eq!(format!("{:?}", toml(&shape, "\"0123456789abcdef\"").unwrap()), "(set)");
}

#[test]
fn state_urls_name_a_backend_and_hide_their_password() {
    for good in
        ["", "memory:", "sqlite:state.db", "redis://localhost:6379/0", "redis+sentinel://a:1,b:2/main", "redis+unix:///run/redis.sock"]
    {
        assert_eq!(toml(&StateUrl, &quote(good)), Ok(good.to_owned()));
    }
    assert_eq!(StateUrl.show(&"redis://ada:hunter2@db:6379".to_owned()), "\"redis://ada:(set)@db:6379\"");
    assert_eq!(StateUrl.show(&"redis://hunter2@db".to_owned()), "\"redis://:(set)@db\"");
    refuses(&StateUrl, "\"rediz://x\"", "did you mean `redis:`?");
    refuses(&StateUrl, "\"postgres://x\"", "no backend speaks this scheme");
    refuses(&StateUrl, "\"redis:localhost\"", "two slashes are missing");
    refuses(&StateUrl, "\"sqlite:\"", "path of the database is missing");
    refuses(&StateUrl, "\"localhost\"", "this is not a URL");
    assert!(!toml(&StateUrl, "\"http://ada:hunter2@x\"").unwrap_err()[0].contains("hunter2"));
}

#[test]
fn hash_keys_name_their_part_of_the_request() {
    assert_eq!(toml(&HashKey, "\"client_ip\""), Ok(HashOn::ClientIp));
    assert_eq!(toml(&HashKey, "\"header:X-User\""), Ok(HashOn::Header("x-user".parse().unwrap())));
    assert_eq!(toml(&HashKey, "\"cookie:session\""), Ok(HashOn::Cookie("session".to_owned())));
    refuses(&HashKey, "\"header:\"", "does not name a header");
    refuses(&HashKey, "\"cookie:a b\"", "does not name a cookie");
    refuses(&HashKey, "\"path\"", "\"client_ip\", \"header:NAME\"");
}

#[test]
fn url_paths_begin_with_a_slash_and_fit_a_request_line() {
    let shape = UrlPath { may_be_empty: true };
    assert_eq!(toml(&shape, "\"/health?full=1\""), Ok("/health?full=1".to_owned()));
    assert_eq!(toml(&shape, "\"\""), Ok(String::new()));
    refuses(&shape, "\"health\"", "write \"/health\"");
    refuses(&shape, "\"/a b\"", "percent-encode");
    refuses(&shape, r#""/a\r\nx: y""#, "percent-encode");
    refuses(&UrlPath { may_be_empty: false }, "\"\"", "does not begin with a slash");
}

#[test]
fn a_list_has_an_end() {
    let many = format!("[{}]", "\"10.0.0.0/8\", ".repeat(1_001));
    refuses(&List(Network), &many, "1001 elements are too many");
}

proptest! {
    #[test]
    fn durations_read_back_as_printed(millis in 1_u64..=86_400_000) {
        let duration = Duration::from_millis(millis);
        let shape = Time(MS..=DAY);
        prop_assert_eq!(toml(&shape, &shape.print(&duration)), Ok(duration));
    }

    #[test]
    fn sizes_read_back_as_printed(bytes in 0..=TIB, shift in 0_u32..40) {
        let bytes = (bytes >> shift) << shift;
        let shape = Size(0..=TIB);
        prop_assert_eq!(toml(&shape, &shape.print(&bytes)), Ok(bytes));
    }

    #[test]
    fn paths_read_back_as_printed(text in "\\PC{1,30}") {
        prop_assert_eq!(toml(&Directory, &Directory.print(&text.clone().into())), Ok(text.into()));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,20}") {
        let _ = (variable(&Time(MS..=DAY), &text), variable(&Size(0..=TIB), &text), variable(&HashKey, &text), variable(&StateUrl, &text));
        let _ = (variable(&List(HostName), &text), variable(&List(Network), &text), variable(&Share, &text), variable(&Whole(0..=9_u8), &text));
    }
}
