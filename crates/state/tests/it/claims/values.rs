//! Values with a time to live, and compare-and-set.

use std::time::{Duration, Instant};

use bytes::Bytes;
use plimsoll_state::{Error, KEY_BYTES_MAX, TokenBucket, VALUE_BYTES_MAX};
use plimsoll_testbed::poll;

use super::{CLOCK_STEP, SOON, race};
use crate::Pair;

const MINUTE: Option<Duration> = Some(Duration::from_mins(1));

pub(crate) async fn a_value_is_read_back_as_it_was_written(Pair { here, there }: Pair) {
    assert_eq!(here.get("read").await.unwrap(), None);
    let version = here.set("read", Bytes::from_static(b"\0\xff text"), MINUTE).await.unwrap();
    let value = there.get("read").await.unwrap().unwrap();
    assert_eq!((&value.bytes[..], value.version), (&b"\0\xff text"[..], version));
    let left = value.expires_in.unwrap();
    assert!(left <= Duration::from_mins(1) && left > Duration::from_secs(50), "{left:?}");

    there.set("read", Bytes::new(), None).await.unwrap();
    let value = here.get("read").await.unwrap().unwrap();
    assert_eq!((&value.bytes[..], value.expires_in), (&b""[..], None), "a write without a time to live ends the old one");
}

pub(crate) async fn a_value_expires(Pair { here, there }: Pair) {
    let ttl = Duration::from_millis(300);
    let started = Instant::now();
    here.set("expires", "soon".into(), Some(ttl)).await.unwrap();
    let version = there.get("expires").await.unwrap().expect("a value lives until it expires").version;
    poll::until(SOON, "the value to expire", async || there.get("expires").await.unwrap().is_none().then_some(())).await;
    assert!(started.elapsed() + CLOCK_STEP >= ttl, "it expired after {:?}", started.elapsed());

    assert!(!here.touch("expires", ttl).await.unwrap(), "what has expired cannot be touched");
    assert!(!here.delete("expires").await.unwrap(), "what has expired is not there to delete");
    assert_eq!(here.compare_and_set("expires", Some(version), "x".into(), None).await.unwrap(), None);
    assert!(here.compare_and_set("expires", None, "again".into(), None).await.unwrap().is_some(), "what has expired is absent");
}

pub(crate) async fn touch_extends_and_keeps_the_version(Pair { here, there }: Pair) {
    let ttl = Some(Duration::from_millis(300));
    let version = here.set("touched", "kept".into(), ttl).await.unwrap();
    assert!(there.touch("touched", Duration::from_mins(1)).await.unwrap());
    here.set("untouched", "gone".into(), ttl).await.unwrap();
    poll::until(SOON, "the other to expire", async || here.get("untouched").await.unwrap().is_none().then_some(())).await;
    let value = here.get("touched").await.unwrap().expect("a touched value lives on");
    assert_eq!((&value.bytes[..], value.version), (&b"kept"[..], version));
    assert!(!here.touch("never there", Duration::from_mins(1)).await.unwrap());
}

pub(crate) async fn delete_says_whether_there_was_something(Pair { here, there }: Pair) {
    here.set("deleted", "x".into(), None).await.unwrap();
    assert!(there.delete("deleted").await.unwrap());
    assert!(!here.delete("deleted").await.unwrap());
    assert_eq!(here.get("deleted").await.unwrap(), None);
}

pub(crate) async fn every_write_changes_the_version(Pair { here, there }: Pair) {
    let mut seen = std::collections::HashSet::new();
    for round in 0..50 {
        let state = if round % 2 == 0 { &here } else { &there };
        assert!(seen.insert(state.set("versioned", "same".into(), MINUTE).await.unwrap()), "round {round}");
        if round % 3 == 0 {
            assert!(here.delete("versioned").await.unwrap());
        }
    }
}

pub(crate) async fn compare_and_set_refuses_a_stale_version(Pair { here, there }: Pair) {
    let first = here.compare_and_set("cas", None, "1".into(), MINUTE).await.unwrap().expect("it was absent");
    assert_eq!(there.compare_and_set("cas", None, "2".into(), MINUTE).await.unwrap(), None, "it is no longer absent");
    let second = there.compare_and_set("cas", Some(first), "2".into(), MINUTE).await.unwrap().expect("nobody was faster");
    assert_eq!(here.compare_and_set("cas", Some(first), "3".into(), MINUTE).await.unwrap(), None, "somebody was faster");
    assert!(here.delete("cas").await.unwrap());
    assert_eq!(here.compare_and_set("cas", Some(second), "3".into(), MINUTE).await.unwrap(), None, "it is gone");
    here.set("cas", "2".into(), MINUTE).await.unwrap();
    assert_eq!(here.compare_and_set("cas", Some(second), "3".into(), MINUTE).await.unwrap(), None, "it is another one with the same bytes");
    assert_eq!(&there.get("cas").await.unwrap().unwrap().bytes[..], b"2");
}

pub(crate) async fn a_race_has_one_winner(pair: Pair) {
    let mut expected = None;
    for round in 0..5 {
        let answers = race(&pair, move |state, number| async move {
            let mine = Bytes::from(format!("{round} {number}"));
            state.compare_and_set("race", expected, mine.clone(), MINUTE).await.unwrap().map(|version| (version, mine))
        });
        let winners: Vec<_> = answers.await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        let value = pair.there.get("race").await.unwrap().unwrap();
        assert_eq!(winners[0], (value.version, value.bytes));
        expected = Some(value.version);
    }
}

pub(crate) async fn keys_and_values_may_be_anything_within_the_limits(Pair { here, there }: Pair) {
    let longest = "k".repeat(KEY_BYTES_MAX);
    for key in ["{", "}", "{}", "{a}b", "a}{b", "a b\r\nc", "\0", "schlüssel", &longest] {
        here.set(key, Bytes::copy_from_slice(key.as_bytes()), MINUTE).await.unwrap();
        assert_eq!(there.get(key).await.unwrap().unwrap().bytes, key.as_bytes(), "{key:?}");
        let lock = here.lock(key, Duration::from_mins(1)).await.unwrap().unwrap();
        assert!(there.unlock(&lock).await.unwrap(), "{key:?}");
    }
    let largest = Bytes::from(vec![7; VALUE_BYTES_MAX]);
    here.set("largest", largest.clone(), MINUTE).await.unwrap();
    assert!(there.get("largest").await.unwrap().unwrap().bytes == largest);
    assert!(there.delete("largest").await.unwrap());

    let refusals = [
        here.set("", "x".into(), None).await.err(),
        here.set(&"k".repeat(KEY_BYTES_MAX + 1), "x".into(), None).await.err(),
        here.set("large", vec![7; VALUE_BYTES_MAX + 1].into(), None).await.err(),
        here.list_push("long", "x".into(), 1_000_000).await.err(),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Some(Error::Broken(_))), "{refusal:?}");
    }
}

pub(crate) async fn kinds_do_not_meet(Pair { here, .. }: Pair) {
    let bucket = TokenBucket { per_second: 1.0, burst: 3 };
    here.set("kind", "value".into(), None).await.unwrap();
    assert_eq!(here.increment("kind", 5, None).await.unwrap(), 5);
    here.list_push("kind", "item".into(), 3).await.unwrap();
    assert_eq!(here.take_tokens("kind", bucket, 1).await.unwrap().remaining, 2);
    let lock = here.lock("kind", Duration::from_mins(1)).await.unwrap().unwrap();
    here.publish("kind", "message".into()).await.unwrap();
    assert_eq!(&here.get("kind").await.unwrap().unwrap().bytes[..], b"value");
    assert_eq!(here.increment("kind", 1, None).await.unwrap(), 6);
    assert_eq!(here.list_newest("kind", 9).await.unwrap(), ["item"]);
    assert!(here.delete("kind").await.unwrap());
    assert!(here.unlock(&lock).await.unwrap(), "deleting a value leaves the lock of the same name");
    here.ping().await.unwrap();
}
