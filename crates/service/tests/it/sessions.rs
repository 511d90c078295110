//! Login, use, logout, expiry, rotation of ids and of keys.

use std::time::Duration;

use plimsoll_policy::forwarded::TrustedProxies;
use plimsoll_service::SessionKeys;
use plimsoll_state::State;
use serde_json::{Value, json};

use crate::client::{Answer, Call};
use crate::instance::{Instance, SECRET, memory, until};
use crate::scripted_state::Scripted;

/// The attributes of the cookie that was set, in lower case and sorted.
fn attributes(answer: &Answer) -> Vec<String> {
    let mut attributes: Vec<_> = answer.header("set-cookie").split("; ").skip(1).map(str::to_lowercase).collect();
    attributes.sort();
    attributes
}

/// The id inside a cookie's value, behind the signature.
fn key(sealed: &str) -> String {
    format!("session:{}", &sealed[44..])
}

async fn both() -> (tempfile::TempDir, Vec<State>) {
    let directory = tempfile::tempdir().unwrap();
    let sqlite = plimsoll_state::open(&format!("sqlite:{}", directory.path().join("state.db").display())).await.unwrap();
    (directory, vec![memory().await, sqlite])
}

#[tokio::test]
async fn a_session_lives_from_login_to_logout_on_every_backend() {
    let (_directory, states) = both().await;
    for state in states {
        let instance = Instance::start(state).await;
        let login = instance.send(Call::login(" ada ")).await;
        assert_eq!(login.status, 200);
        assert_eq!(login.json(), json!({"username": "ada"}));
        let session = login.session();
        let me = instance.me(&session).await;
        assert_eq!(me.status, 200);
        assert_eq!(me.json()["username"], "ada");
        let logout = instance.send(Call::new("DELETE", "/logout").cookie(&session)).await;
        assert_eq!(logout.status, 204);
        instance.me(&session).await.assert_problem(401, "session-missing");
    }
}

#[tokio::test]
async fn the_cookie_is_signed_and_has_exactly_the_promised_attributes() {
    let instance = Instance::start(memory().await).await;
    let login = instance.send(Call::login("ada")).await;
    assert_eq!(attributes(&login), ["httponly", "max-age=1800", "path=/", "samesite=lax"]);
    assert_eq!(login.header("cache-control"), "no-store");
    let id = uuid::Uuid::parse_str(&login.session()[44..]).unwrap();
    assert_eq!(id.get_version_num(), 4);
    let logout = instance.send(Call::new("POST", "/logout").cookie(&login.session())).await;
    assert_eq!(attributes(&logout), ["httponly", "max-age=0", "path=/", "samesite=lax"]);
    assert_eq!(logout.session(), "");
}

#[tokio::test]
async fn the_cookie_is_secure_exactly_behind_https() {
    let login = |name: &'static str, value: &'static str| Call::login("ada").header(name, value);
    let instance = Instance::start(memory().await).await;
    for (call, secure) in [
        (login("x-forwarded-proto", "https"), true),
        (login("forwarded", "for=192.0.2.1;proto=https"), true),
        (login("x-forwarded-proto", "http"), false),
    ] {
        assert_eq!(attributes(&instance.send(call).await).contains(&"secure".to_owned()), secure);
    }
    let untrusting = Instance::with(memory().await, |config| config.trusted_proxies = TrustedProxies::default()).await;
    let answer = untrusting.send(login("x-forwarded-proto", "https")).await;
    assert!(!attributes(&answer).contains(&"secure".to_owned()));
}

#[tokio::test]
async fn a_login_replaces_the_session_that_came_along() {
    let instance = Instance::start(memory().await).await;
    let planted = instance.login("mallory").await;
    let login = instance.send(Call::login("ada").cookie(&planted)).await;
    assert_ne!(login.session(), planted);
    instance.me(&planted).await.assert_problem(401, "session-missing");
    assert_eq!(instance.me(&login.session()).await.json()["username"], "ada");
}

#[tokio::test]
async fn logout_needs_no_session() {
    let instance = Instance::start(memory().await).await;
    for call in [Call::new("DELETE", "/logout"), Call::new("POST", "/logout").cookie("nonsense")] {
        let answer = instance.send(call).await;
        assert_eq!(answer.status, 204);
        assert!(answer.body.is_empty());
        assert!(attributes(&answer).contains(&"max-age=0".to_owned()));
    }
}

#[tokio::test]
async fn use_prolongs_a_session_but_seldom_writes() {
    let state = Scripted::new().await;
    let instance = Instance::start(state.clone()).await;
    let session = instance.login("ada").await;
    let fresh = instance.me(&session).await;
    assert_eq!(fresh.header("set-cookie"), "", "nothing to prolong yet");
    assert_eq!(state.touches(), 0);

    age(&*state, &session, Duration::from_mins(28)).await;
    let older = instance.me(&session).await;
    assert_eq!(older.status, 200);
    assert!(attributes(&older).contains(&"max-age=1800".to_owned()));
    assert_eq!(older.session(), session, "the same session, for longer");
    assert_eq!(state.touches(), 1);
    assert!(left(&*state, &session).await > Duration::from_mins(29), "browser and store agree");
}

/// Leaves a session only `left` to live, as if time had passed.
async fn age(state: &dyn plimsoll_state::Backend, session: &str, left: Duration) {
    let value = state.get(&key(session)).await.unwrap().unwrap();
    state.set(&key(session), value.bytes, Some(left)).await.unwrap();
}

async fn left(state: &dyn plimsoll_state::Backend, session: &str) -> Duration {
    state.get(&key(session)).await.unwrap().unwrap().expires_in.unwrap()
}

#[tokio::test]
async fn an_unused_session_expires() {
    let state = memory().await;
    let instance = Instance::with(state.clone(), |config| config.session_ttl = Duration::from_millis(100)).await;
    let session = instance.login("ada").await;
    until("the session expires", async || state.get(&key(&session)).await.unwrap().is_none()).await;
    instance.me(&session).await.assert_problem(401, "session-missing");
}

#[tokio::test]
async fn keys_rotate_without_logging_anybody_out_until_the_old_one_is_dropped() {
    let state = memory().await;
    let with_keys =
        |secrets: &'static [[u8; 32]]| Instance::with(state.clone(), |config| config.session_keys = SessionKeys::new(secrets).unwrap());
    let before = with_keys(&[SECRET]).await;
    let during = with_keys(&[[8; 32], SECRET]).await;
    let after = with_keys(&[[8; 32]]).await;
    let old = before.login("ada").await;
    let new = during.login("bob").await;
    assert_eq!(during.me(&old).await.status, 200, "the old key is still accepted");
    assert_eq!(after.me(&new).await.status, 200, "the new key signs");
    after.me(&old).await.assert_problem(401, "session-missing");
    before.me(&new).await.assert_problem(401, "session-missing");
}

#[tokio::test]
async fn an_unreadable_record_is_no_session_and_no_failure() {
    let state = memory().await;
    let instance = Instance::start(state.clone()).await;
    let session = instance.login("ada").await;
    state.set(&key(&session), "not json".into(), None).await.unwrap();
    instance.me(&session).await.assert_problem(401, "session-missing");
}

#[tokio::test]
async fn a_good_cookie_is_found_among_others() {
    let instance = Instance::start(memory().await).await;
    let session = instance.login("ada").await;
    let cookies = format!("a=b; plimsoll_session=forged; plimsoll_session={session}; c=\"d\"");
    let me = instance.send(Call::get("/me").header("cookie", &cookies)).await;
    assert_eq!(me.json()["username"], Value::from("ada"));
}
