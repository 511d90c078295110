//! Answers in a row, and what they come to.

use std::net::SocketAddr;

use plimsoll_gateway::Address;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn pace() -> Pace {
    Pace { ttl_min: SECOND, ttl_max: SECOND * 60, empty_after: SECOND * 30 }
}

fn found(ports: &[u16]) -> Vec<Found> {
    let found = |port: &u16| Found { address: Address::Tcp(SocketAddr::from(([127, 0, 0, 1], *port))), weight: 1, priority: 0 };
    ports.iter().map(found).collect()
}

fn answer(ports: &[u16], ttl: Duration) -> Answer {
    Answer { found: found(ports), ttl }
}

fn failed() -> Trouble {
    Trouble::Failed("SERVFAIL".to_owned())
}

#[test]
fn the_time_to_live_says_when_to_ask_again_within_bounds() {
    let mut memory = Memory::new(pace());
    for (ttl, wait) in [(0, 1), (1, 1), (7, 7), (60, 60), (86_400, 60)] {
        assert_eq!(memory.take(Ok(answer(&[1], SECOND * ttl)), Instant::now()).wait, SECOND * wait);
    }
}

#[test]
fn only_a_changed_answer_is_passed_on() {
    let (mut memory, now) = (Memory::new(pace()), Instant::now());
    let first = memory.take(Ok(answer(&[1, 2], SECOND)), now);
    assert_eq!((first.found, first.news), (Some(found(&[1, 2])), Some(News::Changed { came: 2, went: 0 })));
    let same = memory.take(Ok(answer(&[1, 2], SECOND)), now);
    assert_eq!((same.found, same.news), (None, None));
    let other = memory.take(Ok(answer(&[2, 3], SECOND)), now);
    assert_eq!((other.found, other.news), (Some(found(&[2, 3])), Some(News::Changed { came: 1, went: 1 })));
}

#[test]
fn trouble_takes_nobody_out_however_long_and_is_said_once() {
    let (mut memory, now) = (Memory::new(pace()), Instant::now());
    memory.take(Ok(answer(&[1], SECOND)), now);
    let mut said = 0;
    for second in 0..10_000 {
        let trouble = if second % 2 == 0 { failed() } else { Trouble::Failed("timed out".to_owned()) };
        let next = memory.take(Err(trouble), now + SECOND * second);
        assert_eq!(next.found, None);
        said += usize::from(next.news.is_some());
    }
    assert_eq!(said, 1);
    assert_eq!(memory.take(Err(Trouble::NoSuchName), now).news, Some(News::Troubled(Trouble::NoSuchName)), "another kind is news");
    assert_eq!(memory.take(Ok(answer(&[1], SECOND)), now).news, Some(News::Recovered));
}

#[test]
fn an_empty_answer_is_believed_after_a_while_and_not_before() {
    let (mut memory, now) = (Memory::new(pace()), Instant::now());
    memory.take(Ok(answer(&[1], SECOND)), now);
    for (second, expected) in [(0, None), (29, None), (30, Some(Vec::new())), (31, None), (100, None)] {
        assert_eq!(memory.take(Err(Trouble::Empty), now + SECOND * second).found, expected, "after {second} s");
    }
    assert_eq!(memory.take(Ok(answer(&[1], SECOND)), now).found, Some(found(&[1])), "and what comes then is new");
}

#[test]
fn trouble_in_between_begins_the_doubt_anew() {
    let (mut memory, now) = (Memory::new(pace()), Instant::now());
    memory.take(Ok(answer(&[1], SECOND)), now);
    memory.take(Err(Trouble::Empty), now);
    memory.take(Err(failed()), now + SECOND * 20);
    assert_eq!(memory.take(Err(Trouble::Empty), now + SECOND * 40).found, None);
}

#[test]
fn it_asks_again_soon_and_then_less_often() {
    let mut memory = Memory::new(pace());
    let waits: Vec<_> = (0..6).map(|_| memory.take(Err(failed()), Instant::now()).wait.as_secs()).collect();
    assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
    memory.take(Ok(answer(&[1], SECOND)), Instant::now());
    assert_eq!(memory.take(Err(failed()), Instant::now()).wait, SECOND, "an answer begins anew");
}
