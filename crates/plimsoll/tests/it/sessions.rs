//! Sessions as users have them: through the gateway, on any instance, for as long as they should last and no longer.

use std::time::{Duration, Instant};

use plimsoll_testbed::poll::until_blocking;

use crate::fleet::{Fleet, Launch, PATIENCE};
use crate::http::{Answer, Client, Request};

const KEYS: &str = "PLIMSOLL__SERVICE__SESSION_KEYS";
const OLD_KEY: &str = "an-old-key-an-old-key-an-old-key-an-old-key";
const NEW_KEY: &str = "a-new-key-a-new-key-a-new-key-a-new-key-a-new";

/// Cookies of each of the four kinds.
const EACH: usize = 250;

fn me(port: u16, session: &str) -> Answer {
    Client::with_session(port, session).get("/me")
}

/// Sessions of as many users.
fn logged_in(fleet: &Fleet, count: usize) -> Vec<String> {
    let mut client = fleet.client();
    let mut login = |number| {
        client.session = None;
        let answer = client.ask(&Request::login(&format!("user-{number}")));
        answer.session().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    };
    (0..count).map(&mut login).collect()
}

/// Shows each cookie once: 401 with every promise of an error kept, whatever it is.
fn assert_all_refused(fleet: &Fleet, sessions: &[String]) {
    let mut client = fleet.client();
    for session in sessions {
        client.session = Some(session.clone());
        let answer = client.ask(&Request::get("/me"));
        assert_eq!(answer.status, 401, "{session}: {answer:?}");
        answer.assert_problem(401, "session-missing");
    }
}

/// Each differs from a good cookie by what somebody without the key can do.
fn forged(good: &[String]) -> Vec<String> {
    let one = |(number, cookie): (usize, &String)| {
        let (signature, id) = cookie.split_at(cookie.len() - 36);
        let position = number % signature.len();
        let other = |character: char| if character == 'A' { 'B' } else { 'A' };
        let change = |text: &str| text.char_indices().map(|(at, each)| if at == position { other(each) } else { each }).collect::<String>();
        match number % 5 {
            0 => format!("{}{id}", change(signature)),
            1 => format!("{signature}{}", &good[(number + 1) % good.len()][cookie.len() - 36..]),
            2 => id.to_owned(),
            3 => format!("{}{id}", "A".repeat(signature.len())),
            _ => format!("{cookie}{}", "0".repeat(number)),
        }
    };
    good.iter().enumerate().map(one).collect()
}

#[test]
fn a_thousand_worthless_cookies_are_each_refused_and_nothing_breaks() {
    let fleet = Fleet::up();
    let good = logged_in(&fleet, EACH);
    assert_all_refused(&fleet, &forged(&good));
    let truncated: Vec<_> = good.iter().enumerate().map(|(number, cookie)| cookie[..number % cookie.len()].to_owned()).collect();
    assert_all_refused(&fleet, &truncated);
    assert!(good.iter().all(|session| me(fleet.port(), session).status == 200), "each was good before and still is");

    let mut client = fleet.client();
    for session in &good {
        client.session = Some(session.clone());
        assert_eq!(client.ask(&Request::new("DELETE", "/logout")).status, 204);
    }
    assert_all_refused(&fleet, &good);
    fleet.stop();

    let fleet = Launch::new(&["up"]).variable("PLIMSOLL__SERVICE__SESSION_TTL", "1s").fleet();
    let short = logged_in(&fleet, EACH);
    assert_eq!(me(fleet.port(), short.last().unwrap()).status, 200);
    let logged_in_at = Instant::now();
    let past = || Ok((logged_in_at.elapsed() > Duration::from_millis(1_100)).then_some(()));
    until_blocking(PATIENCE, "the sessions to expire", past).unwrap();
    assert_all_refused(&fleet, &short);
    let failed = fleet.status()["edge"]["responses_total"]["5xx"].clone();
    assert_eq!(failed, 0);
    fleet.stop();
}

#[test]
fn the_cookie_is_signed_hidden_from_scripts_and_lives_half_an_hour() {
    let fleet = Fleet::up();
    let answer = fleet.client().ask(&Request::login("ada"));
    assert_eq!((answer.status, answer.json()), (200, serde_json::json!({ "username": "ada" })));
    let (value, attributes) = answer.header("Set-Cookie").split_once("; ").unwrap();
    let mut attributes: Vec<_> = attributes.split("; ").collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=1800", "Path=/", "SameSite=Lax"]);
    let id = &value[value.len() - 36..];
    let hyphens: Vec<_> = id.match_indices('-').map(|(position, _)| position).collect();
    assert_eq!((hyphens.as_slice(), &id[14..15]), ([8, 13, 18, 23].as_slice(), "4"), "a random UUID: {id}");
    assert!(value.len() >= "plimsoll_session=".len() + 43 + 36, "and 32 bytes of signature: {value}");
    fleet.stop();
}

#[test]
fn only_a_trusted_proxy_can_say_that_the_client_speaks_https() {
    let secure = |fleet: &Fleet| {
        let from_https = Request::login("ada").header("X-Forwarded-Proto", "https");
        let answers = [fleet.client().ask(&from_https), fleet.client().ask(&Request::login("ada"))];
        answers.map(|answer| answer.header("Set-Cookie").split("; ").any(|attribute| attribute == "Secure"))
    };
    let fleet = Fleet::up();
    assert_eq!(secure(&fleet), [false, false]);
    fleet.stop();
    let fleet = Launch::new(&["up"]).variable("PLIMSOLL__GATEWAY__TRUSTED_PROXIES", "127.0.0.1/32").fleet();
    assert_eq!(secure(&fleet), [true, false]);
    fleet.stop();
}

#[test]
fn a_login_replaces_the_id_and_both_ways_to_log_out_end_it_everywhere() {
    let fleet = Fleet::up();
    let mut client = Client::logged_in(fleet.port(), "ada");
    for method in ["DELETE", "POST"] {
        let before = client.session.clone().unwrap_or_default();
        assert_eq!(client.ask(&Request::login("grace")).status, 200);
        let after = client.session.clone().unwrap();
        assert_ne!(before, after);
        me(fleet.port(), &before).assert_problem(401, "session-missing");
        assert_eq!(me(fleet.port(), &after).json()["username"], "grace");

        let answer = client.ask(&Request::new(method, "/logout"));
        assert_eq!((answer.status, client.session.as_deref()), (204, None), "{answer:?}");
        assert!(answer.header("Set-Cookie").contains("Max-Age=0"), "{answer:?}");
        // More often than there are instances.
        for _ in 0..12 {
            me(fleet.port(), &after).assert_problem(401, "session-missing");
        }
    }
    fleet.stop();
}

#[test]
fn every_fault_of_a_login_is_named_at_once() {
    let fleet = Fleet::up();
    let answer = fleet.client().ask(&Request::new("POST", "/login").json(&serde_json::json!({ "username": 5, "colour": "red" })));
    answer.assert_problem(422, "invalid-content");
    let text = answer.text();
    assert!(text.contains("username") && text.contains("colour"), "{text}");
    let answer = fleet.client().ask(&Request::new("POST", "/login").header("Content-Type", "text/plain"));
    assert_eq!(answer.status, 415);
    answer.assert_problem(415, "unsupported-media-type");
    fleet.stop();
}

#[test]
fn a_key_rotated_away_ends_its_sessions_and_one_kept_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let with_keys = |keys: &str| Launch::new(&["up"]).data_dir(directory.path()).variable(KEYS, keys).fleet();
    let fleet = with_keys(OLD_KEY);
    let session = Client::logged_in(fleet.port(), "ada").session.unwrap();
    fleet.stop();

    let fleet = with_keys(NEW_KEY);
    me(fleet.port(), &session).assert_problem(401, "session-missing");
    fleet.stop();

    let fleet = with_keys(&format!("{NEW_KEY},{OLD_KEY}"));
    assert_eq!(me(fleet.port(), &session).json()["username"], "ada");
    let new = Client::logged_in(fleet.port(), "ada").session.unwrap();
    fleet.stop();

    let fleet = with_keys(NEW_KEY);
    assert_eq!(me(fleet.port(), &new).status, 200, "the first key signs");
    fleet.stop();
}
