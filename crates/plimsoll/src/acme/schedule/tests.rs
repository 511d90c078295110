use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;

fn day(day: u32) -> SystemTime {
    UNIX_EPOCH + DAY * day
}

#[test]
fn a_certificate_is_renewed_in_the_last_third_of_its_life_or_as_asked_but_never_at_once() {
    let validity = Validity { not_before: day(100), not_after: day(190) };
    for (before, jitter, expected) in [
        (None, 0.0, day(160)),
        (None, 1.0, day(163)),
        (Some(DAY * 10), 0.0, day(180)),
        (Some(DAY * 10), 1.0, day(181)),
        (Some(DAY * 89), 0.0, day(130)),
        (Some(DAY * 3_000), 0.0, day(130)),
    ] {
        assert_eq!(renewal(validity, before, jitter), expected, "{before:?} {jitter}");
    }
}

#[test]
fn each_failure_doubles_the_wait_up_to_a_cap_and_success_forgets_it() {
    let mut record = Record::default();
    let now = day(1);
    let failed = Setback::Failed(String::new());
    let waits: Vec<_> = (0..9).map(|_| record.failed(&failed, now, 0.0).duration_since(now).unwrap().as_secs()).collect();
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
    record.succeeded();
    assert_eq!(record.not_before(now), now);
    let refused = Setback::Refused(String::new());
    let waits: Vec<_> = (0..10).map(|_| record.failed(&refused, now, 0.0).duration_since(now).unwrap().as_secs() / 60).collect();
    assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 360, 360]);
}

#[test]
fn an_authority_that_says_until_when_is_believed_for_a_day() {
    let now = day(1);
    let until = |until| Record::default().failed(&Setback::Limited(String::new(), Some(until)), now, 0.0);
    assert_eq!(until(now + HOUR * 3), now + HOUR * 3);
    assert_eq!(until(now + DAY * 30), now + DAY);
    assert_eq!(until(day(0)), now + RETRY_AFTER.0);
    assert_eq!(Record::default().failed(&Setback::Limited(String::new(), None), now, 0.0), now + HOUR);
}

#[test]
fn a_clock_that_was_set_back_locks_nobody_out() {
    let mut record = Record::default();
    for _ in 0..ORDERS_PER_NAME_MAX {
        record.placed(day(500));
        record.failed(&Setback::Refused(String::new()), day(500), 1.0);
    }
    assert_eq!(record.not_before(day(1)), day(1));
    assert_eq!(room(&[day(500); 2 * ORDERS_MAX], day(1)), day(1));
}

proptest! {
    /// Whatever goes wrong, and however often the process is started anew with the record from its disk.
    #[test]
    fn no_hour_has_more_orders_for_a_name_than_allowed(outcomes in prop::collection::vec((0_u8..4, 0.0_f64..1.0), 1..60)) {
        let (mut record, mut now) = (Record::default(), day(1));
        let mut placed: Vec<SystemTime> = Vec::new();
        for (outcome, jitter) in outcomes {
            now = record.not_before(now);
            record.placed(now);
            placed.push(now);
            match outcome {
                0 => record.succeeded(),
                1 => drop(record.failed(&Setback::Failed(String::new()), now, jitter)),
                2 => drop(record.failed(&Setback::Refused(String::new()), now, jitter)),
                _ => drop(record.failed(&Setback::Limited(String::new(), Some(now)), now, jitter)),
            }
            record = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
        }
        for window in placed.windows(ORDERS_PER_NAME_MAX + 1) {
            prop_assert!(window[ORDERS_PER_NAME_MAX].duration_since(window[0]).unwrap() >= HOUR);
        }
    }
}
