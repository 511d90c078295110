use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const BARE: Config = Config { share: 0.1, reserve: 0, refill_per_second: 0.0 };

/// Traffic of which every request fails and wants to be retried as often as the budget allows.
fn retries_when_all_fails(budget: &Budget, per_second: u64, from_ns: u64, seconds: u64) -> u64 {
    let mut retries = 0;
    for number in 0..per_second * seconds {
        let now_ns = from_ns + number * SECOND / per_second;
        budget.request(now_ns);
        retries += u64::from(budget.try_spend(now_ns)) + u64::from(budget.try_spend(now_ns));
    }
    retries
}

#[test]
fn when_everything_fails_retries_are_a_tenth_of_the_requests() {
    // At a few requests a second some of what they pay is forgotten before it makes a whole attempt; the reserve is there for those.
    for per_second in [50, 1_000, 20_000] {
        let retries = retries_when_all_fails(&Budget::new(BARE), per_second, 0, 30);
        let share = retries as f64 / (30 * per_second) as f64;
        assert!((0.085..=0.1).contains(&share), "{share} at {per_second}/s");
    }
}

#[test]
fn a_lone_failure_and_an_instance_full_of_requests_are_covered_by_the_reserve() {
    let budget = Budget::default();
    budget.request(0);
    assert!(budget.try_spend(0), "the very first request fails");
    assert_eq!(std::iter::from_fn(|| budget.try_spend(0).then_some(())).count(), 99);
    assert!(!budget.try_spend(800 * MS), "it comes back slowly");
    assert!(budget.try_spend(1_000 * MS));
    assert_eq!(budget.left(200 * SECOND), 100, "and not beyond what it was");
}

#[test]
fn a_slow_refill_is_not_rounded_away_by_frequent_looks() {
    let budget = Budget::new(Config { share: 0.0, reserve: 5, refill_per_second: 0.5 });
    while budget.try_spend(0) {}
    for ms in 0..10_100 {
        budget.request(ms * MS);
    }
    assert_eq!(budget.left(10_100 * MS), 5);
}

#[test]
fn savings_cover_what_is_in_flight_and_are_forgotten_soon() {
    let budget = Budget::new(BARE);
    for ms in 0..20_000 {
        budget.request(ms * MS);
    }
    let left = budget.left(20 * SECOND);
    assert!((150..=200).contains(&left), "two seconds' worth at 1,000/s, not twenty: {left}");
    assert!(budget.left(30 * SECOND) < 3, "an earlier calm does not pay for a later storm");
}

#[test]
fn what_was_not_used_can_be_given_back() {
    let budget = Budget::new(Config { reserve: 1, ..BARE });
    assert!(budget.try_spend(0));
    budget.unspend(0);
    assert!(budget.try_spend(0) && !budget.try_spend(0));
}

#[test]
fn threads_never_spend_a_token_twice() {
    let budget = Budget::new(Config { reserve: 1_000, ..BARE });
    let spent = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    budget.request(0);
                    spent.fetch_add(u64::from(budget.try_spend(0)), Relaxed);
                }
            });
        }
    });
    assert_eq!(spent.into_inner(), 1_000 + 4_000);
}

proptest! {
    #[test]
    fn attempts_stay_within_share_reserve_and_refill_whatever_the_traffic(
        share in 0.0_f32..0.5,
        reserve in 0_u16..200,
        refill_per_second in 0.0_f32..5.0,
        history in prop::collection::vec((0_u64..3_000, 0_u64..400, 0_u32..400), 1..60),
    ) {
        let budget = Budget::new(Config { share, reserve, refill_per_second });
        let (mut now_ns, mut requests, mut spent) = (0, 0_u64, 0_u64);
        for (wait_ms, count, wishes) in history {
            now_ns += wait_ms * MS;
            for _ in 0..count {
                budget.request(now_ns);
            }
            requests += count;
            for _ in 0..wishes {
                spent += u64::from(budget.try_spend(now_ns));
            }
            let seconds = now_ns as f64 / SECOND as f64;
            let allowed = f64::from(reserve) + f64::from(share) * requests as f64 + f64::from(refill_per_second) * seconds;
            prop_assert!(spent as f64 <= allowed * 1.001 + 1.0, "{} of {}", spent, allowed);
        }
    }

    #[test]
    fn a_clock_that_another_worker_has_set_ahead_changes_nothing(ahead_ms in 0_u64..1_000, behind_ms in 0_u64..1_000) {
        let budget = Budget::new(Config { reserve: 3, ..BARE });
        budget.request((1_000 + ahead_ms) * MS);
        let left = budget.left((1_000 + ahead_ms) * MS);
        prop_assert_eq!(budget.left((1_000 - behind_ms) * MS), left);
    }
}
