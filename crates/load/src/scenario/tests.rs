//! What a scenario file says, and how it is told that it is wrong.

use std::fs;

use super::*;

fn read(text: &str) -> Result<Scenario, Error> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("order.json"), "{\"n\":{{n}}}").unwrap();
    let path = folder.path().join("scenario.toml");
    fs::write(&path, text).unwrap();
    Scenario::read(&path)
}

#[test]
fn a_file_says_all_there_is_to_say() {
    let scenario = read(
        r#"
        users = 3
        [[login]]
        method = "POST"
        path = "/login"
        body = "user{{user}}"
        [[request]]
        path = "/feed"
        weight = 9
        [[request]]
        name = "order"
        method = "POST"
        path = "/orders"
        headers = { idempotency-key = "{{uuid}}" }
        body_file = "order.json"
        "#,
    )
    .unwrap();
    assert_eq!((scenario.users, scenario.login.len(), scenario.requests.len()), (3, 1, 2));
    assert_eq!((scenario.requests[0].name.as_str(), scenario.requests[0].weight), ("GET /feed", 9.0));
    assert_eq!(scenario.requests[1].body, b"{\"n\":{{n}}}");
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (text, part) in [
        ("", "request"),
        ("request = []", "no request"),
        ("[[request]]\npath = \"/\"\nwieght = 2", "wieght"),
        ("[[request]]\npath = \"/{{guid}}\"", "{{guid}}"),
        ("[[request]]\npath = \"/\"\nbody = \"\"\nbody_file = \"order.json\"", "not both"),
        ("[[request]]\npath = \"/\"\nbody_file = \"missing\"", "missing"),
        ("[[request]]\npath = \"/\"\nweight = -1", "weight"),
        ("[[request]]\npath = \"/\"\nweight = 0", "nothing would be sent"),
        ("[[request]]\npath = \"/\"\n[[request]]\npath = \"/\"", "named `GET /`"),
        ("users = 0\n[[login]]\npath = \"/\"\n[[request]]\npath = \"/\"", "no users"),
        ("[[login]]\npath = \"/\"\nweight = 2\n[[request]]\npath = \"/\"", "no weight"),
        ("users = 1\n[[request]]\npath = \"/\"\nheaders = { Cookie = \"a=1\" }", "jar"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text:?}: {error}");
    }
}

#[test]
fn headers_and_bodies_come_from_the_command_line_too() {
    assert_eq!(Request::parse_header("A: b: c").unwrap(), ("A".to_owned(), "b: c".to_owned()));
    Request::parse_header("no colon").unwrap_err();
    Request::parse_header(": value").unwrap_err();
    assert_eq!(Request::parse_body("text").unwrap(), b"text");
    Request::parse_body("@/no/such/file").unwrap_err();
}
