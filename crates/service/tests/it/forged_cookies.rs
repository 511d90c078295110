//! A thousand cookies that are not worth a session: forged, cut, mixed, signed by somebody else, replayed after logout, expired.

use plimsoll_service::SessionKeys;

use crate::client::Call;
use crate::instance::{Instance, memory};

const ATTEMPTS: usize = 1_000;
const ALPHABET: &[u8] = b"ABCXYZabcxyz0123456789+/=-_.%\"!~";

/// Something that looks like `good` and is not.
fn forged(random: &mut fastrand::Rng, good: &str, other: &str) -> String {
    let mut bytes = good.as_bytes().to_vec();
    let place = random.usize(..bytes.len());
    match random.u8(..8) {
        0 => bytes[place] = *random.choice(ALPHABET).unwrap(),
        1 => bytes.truncate(place),
        2 => bytes.insert(place, *random.choice(ALPHABET).unwrap()),
        3 => drop(bytes.remove(place)),
        // One session's signature before another's id.
        4 => bytes = format!("{}{}", &good[..44], &other[44..]).into(),
        5 => bytes = good[44..].into(),
        6 => bytes = (0..random.usize(..400)).map(|_| *random.choice(ALPHABET).unwrap()).collect(),
        _ => bytes.make_ascii_uppercase(),
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_thousand_worthless_cookies_are_answered_401() {
    let state = memory().await;
    let instance = Instance::start(state.clone()).await;
    let stranger = Instance::with(state.clone(), |config| config.session_keys = SessionKeys::new(&[[9; 32]]).unwrap()).await;
    let (good, other) = (instance.login("ada").await, instance.login("bob").await);
    let signed_elsewhere = stranger.login("eve").await;
    let replayed = instance.login("old").await;
    instance.send(Call::new("POST", "/logout").cookie(&replayed)).await;
    let expired = instance.login("late").await;
    state.delete(&format!("session:{}", &expired[44..])).await.unwrap();

    let mut random = fastrand::Rng::with_seed(2);
    let mut client = instance.client().await;
    for attempt in 0..ATTEMPTS {
        let cookie = match attempt % 10 {
            0 => replayed.clone(),
            1 => expired.clone(),
            2 => signed_elsewhere.clone(),
            _ => forged(&mut random, &good, &other),
        };
        if cookie == good {
            continue;
        }
        let answer = client.send(Call::get("/me").cookie(&cookie)).await;
        assert_eq!(answer.status, 401, "attempt {attempt}: {cookie}");
        answer.assert_problem(401, "session-missing");
    }
    assert_eq!(client.send(Call::get("/me").cookie(&good)).await.status, 200, "the real one still works");
}
