use std::time::{Duration, UNIX_EPOCH};

use super::Judgement::{Failed, GoOn, NotModified};
use super::*;

const THEN: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

/// A strong tag, and a date.
fn file() -> Validators<'static> {
    Validators { etag: Some(b"\"a\""), last_modified: Some(UNIX_EPOCH + Duration::from_secs(784_111_777)) }
}

fn conditions<'a>(fields: &[(&'a str, &'a str)]) -> Preconditions<'a> {
    Preconditions::read(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect::<Vec<_>>())
}

fn check(now: &Validators<'_>, cases: &[(&[(&str, &str)], Judgement)]) {
    for (fields, expected) in cases {
        assert_eq!(conditions(fields).judge(&Method::GET, now), *expected, "{fields:?}");
    }
}

#[test]
fn each_condition_alone() {
    check(
        &file(),
        &[
            (&[], GoOn),
            (&[("If-None-Match", "\"a\"")], NotModified),
            (&[("If-None-Match", "W/\"a\"")], NotModified),
            (&[("if-none-match", "\"b\", \"a\"")], NotModified),
            (&[("IF-NONE-MATCH", "*")], NotModified),
            (&[("If-None-Match", "\"b\"")], GoOn),
            (&[("If-None-Match", "nonsense")], GoOn),
            (&[("If-None-Match", "a")], GoOn),
            (&[("If-None-Match", "\"b\""), ("If-None-Match", "\"a\"")], NotModified),
            (&[("If-Modified-Since", THEN)], GoOn),
            (&[("If-Modified-Since", MODIFIED)], NotModified),
            (&[("If-Modified-Since", LATER)], NotModified),
            (&[("If-Modified-Since", "yesterday")], GoOn),
            (&[("If-Match", "\"a\"")], GoOn),
            (&[("If-Match", "*")], GoOn),
            (&[("If-Match", "\"b\", \"a\"")], GoOn),
            (&[("If-Match", "W/\"a\"")], Failed),
            (&[("If-Match", "\"b\"")], Failed),
            (&[("If-Match", "nonsense")], Failed),
            (&[("If-Unmodified-Since", THEN)], Failed),
            (&[("If-Unmodified-Since", MODIFIED)], GoOn),
            (&[("If-Unmodified-Since", LATER)], GoOn),
            (&[("If-Unmodified-Since", "yesterday")], GoOn),
            (&[("If-Something", "\"a\""), ("Iffy", "*"), ("I", "")], GoOn),
        ],
    );
}

#[test]
fn tags_come_before_dates_and_what_must_hold_before_what_must_not() {
    check(
        &file(),
        &[
            (&[("If-None-Match", "\"b\""), ("If-Modified-Since", LATER)], GoOn),
            (&[("If-None-Match", "\"a\""), ("If-Modified-Since", THEN)], NotModified),
            (&[("If-Match", "\"a\""), ("If-Unmodified-Since", THEN)], GoOn),
            (&[("If-Match", "\"b\""), ("If-Unmodified-Since", LATER)], Failed),
            (&[("If-Match", "\"b\""), ("If-None-Match", "\"a\"")], Failed),
            (&[("If-Match", "\"a\""), ("If-None-Match", "\"a\"")], NotModified),
            (&[("If-Unmodified-Since", THEN), ("If-Modified-Since", LATER)], Failed),
            (&[("If-Unmodified-Since", LATER), ("If-Modified-Since", LATER)], NotModified),
        ],
    );
}

#[test]
fn what_has_no_validators_is_always_new() {
    check(
        &Validators::default(),
        &[
            (&[("If-None-Match", "\"a\"")], GoOn),
            (&[("If-Modified-Since", LATER)], GoOn),
            (&[("If-Unmodified-Since", THEN)], GoOn),
            (&[("If-Match", "\"a\"")], Failed),
            (&[("If-None-Match", "*")], NotModified),
        ],
    );
}

#[test]
fn a_write_is_never_told_that_nothing_changed() {
    let judge = |fields: &[(&str, &str)]| conditions(fields).judge(&Method::PUT, &file());
    assert_eq!(judge(&[("If-None-Match", "*")]), Failed);
    assert_eq!(judge(&[("If-None-Match", "\"a\"")]), Failed);
    assert_eq!(judge(&[("If-None-Match", "\"b\"")]), GoOn);
    assert_eq!(judge(&[("If-Modified-Since", LATER)]), GoOn, "it is about reading only");
}

#[test]
fn a_range_is_granted_only_of_what_the_client_has_for_certain() {
    let weak = Validators { etag: Some(b"W/\"a\""), last_modified: None };
    let cases = [
        (file(), None, true),
        (file(), Some("\"a\""), true),
        (file(), Some("W/\"a\""), false),
        (file(), Some("\"b\""), false),
        (file(), Some(MODIFIED), true),
        (file(), Some(THEN), false),
        (file(), Some(LATER), false),
        (file(), Some("nonsense"), false),
        (file(), Some("\"b\", \"a\""), false),
        (file(), Some("*"), false),
        (weak, None, true),
        (weak, Some("W/\"a\""), false),
        (weak, Some("\"a\""), false),
        (weak, Some(MODIFIED), false),
    ];
    for (now, condition, expected) in cases {
        let fields: Vec<_> = condition.map(|value| ("If-Range", value)).into_iter().collect();
        assert_eq!(conditions(&fields).grants_range(&now), expected, "{condition:?} of {now:?}");
    }
}

#[test]
fn a_client_that_was_given_the_weak_form_is_recognised() {
    let knows = |known: &str, etag: &str| conditions(&[("If-None-Match", known)]).knows_weakened(etag.as_bytes());
    assert!(knows("W/\"a\"", "\"a\""));
    assert!(knows("\"b\", W/\"a\"", "\"a\""));
    assert!(!knows("\"a\"", "\"a\""), "it has the strong form");
    assert!(!knows("W/\"b\"", "\"a\""));
    assert!(!knows("W/\"a\"", "W/\"a\""), "it is weak already");
    assert!(!knows("*", "\"a\""));
}
