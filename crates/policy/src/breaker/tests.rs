use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

const QUICK: Duration = Duration::from_millis(1);

/// A pool's breaker before calls that take no time.
struct Bench {
    breaker: Breaker,
    now_ns: u64,
}

impl Bench {
    fn new(config: Config) -> Self {
        Self { breaker: Breaker::new(config), now_ns: 100 * SECOND }
    }

    fn call(&mut self, fails: bool) -> Result<Option<Opened>, Refused> {
        let mut call = self.breaker.enter(self.now_ns)?;
        Ok(if fails {
            self.breaker.failed(&mut call, Failure::Ordinary, self.now_ns)
        } else {
            self.breaker.succeeded(&mut call, QUICK, self.now_ns)
        })
    }

    /// So many calls a second, of which every n-th fails; how many were refused.
    fn traffic(&mut self, seconds: u64, per_second: u64, fails: impl Fn(u64) -> bool) -> u64 {
        let mut refused = 0;
        for number in 0..seconds * per_second {
            refused += u64::from(self.call(fails(number)).is_err());
            self.now_ns += SECOND / per_second;
        }
        refused
    }

    fn open(&mut self) {
        for _ in 0..1_000 {
            if self.call(true).is_err() {
                return;
            }
            self.now_ns += 50 * MS;
        }
        panic!("it should be open");
    }

    fn standing(&self) -> Standing {
        self.breaker.standing(self.now_ns)
    }
}

#[test]
fn a_share_of_failures_that_lasts_opens_it_and_a_smaller_one_never_does() {
    let mut bench = Bench::new(Config::default());
    assert_eq!(bench.traffic(60, 50, |number| number % 5 < 2), 0, "two of five is below a half");
    assert!(bench.traffic(60, 50, |number| number % 5 < 3) > 1_000);
}

#[test]
fn a_burst_shorter_than_half_the_window_never_opens_it() {
    let mut bench = Bench::new(Config::default());
    assert_eq!(bench.traffic(20, 100, |_| false), 0);
    assert_eq!(bench.traffic(5, 100, |_| true), 0, "five seconds in which everything fails");
    assert_eq!(bench.traffic(20, 100, |_| false), 0);
    for _ in 0..1_000 {
        bench.call(true).expect("all at once, right at the beginning");
    }
    assert_eq!(bench.traffic(30, 10, |number| number % 4 == 0), 0, "and few successes after it");
}

#[test]
fn few_calls_prove_nothing_by_their_share() {
    let mut bench = Bench::new(Config::default());
    assert_eq!(bench.traffic(60, 1, |_| true), 0);
}

#[test]
fn one_conclusive_failure_opens_it_and_the_end_of_its_cause_closes_it() {
    let mut bench = Bench::new(Config::default());
    let mut call = bench.breaker.enter(bench.now_ns).unwrap();
    let opened = bench.breaker.failed(&mut call, Failure::Conclusive, bench.now_ns).unwrap();
    assert_eq!(opened.lasts, Duration::from_secs(1));
    assert_eq!(bench.call(false), Err(Refused { retry_after: Duration::from_secs(1) }));
    bench.breaker.probe_succeeded(bench.now_ns);
    assert_eq!(bench.standing(), Standing::HalfOpen);
    bench.breaker.cause_is_gone();
    assert_eq!(bench.standing(), Standing::Closed);

    bench.open();
    bench.breaker.probe_succeeded(bench.now_ns);
    bench.breaker.cause_is_gone();
    assert_ne!(bench.standing(), Standing::Closed, "failures in answers are not cured by somebody being there");
}

#[test]
fn slow_calls_open_it_like_failures_where_they_count() {
    let slow = Duration::from_secs(3);
    for (slow_after, opens) in [(Some(Duration::from_secs(2)), true), (Some(Duration::from_secs(4)), false), (None, false)] {
        let bench = Bench::new(Config { slow_after, ..Config::default() });
        let mut opened = false;
        for number in 0..1_000 {
            let now_ns = number * 12 * MS;
            let Ok(mut call) = bench.breaker.enter(now_ns) else { break };
            opened |= bench.breaker.succeeded(&mut call, slow, now_ns).is_some();
        }
        assert_eq!(opened, opens, "{slow_after:?}");
    }
}

#[test]
fn half_open_it_lets_few_in_and_closes_after_enough_of_them() {
    let mut bench = Bench::new(Config::default());
    bench.open();
    bench.now_ns += SECOND;
    let mut trials: Vec<_> = (0..3).map(|_| bench.breaker.enter(bench.now_ns).unwrap()).collect();
    assert!(bench.breaker.enter(bench.now_ns).is_err(), "three are under way");
    let mut given_up = trials.pop().unwrap();
    bench.breaker.abandoned(&mut given_up);
    bench.breaker.abandoned(&mut given_up);
    trials.push(bench.breaker.enter(bench.now_ns).unwrap());
    assert!(bench.breaker.enter(bench.now_ns).is_err(), "a place is given back once");
    for (number, trial) in trials.iter_mut().enumerate() {
        assert_eq!(bench.standing(), Standing::HalfOpen, "after {number}");
        assert_eq!(bench.breaker.succeeded(trial, QUICK, bench.now_ns), None);
    }
    assert_eq!(bench.standing(), Standing::Closed);
    assert_eq!(bench.call(true), Ok(None), "what was before it opened does not count any more");
}

#[test]
fn a_trial_that_fails_opens_it_for_twice_as_long() {
    let mut bench = Bench::new(Config::default());
    bench.open();
    bench.now_ns += SECOND;
    let opened = bench.call(true).unwrap().unwrap();
    assert!(opened.lasts >= Duration::from_secs(2), "{opened:?}");
    assert!(bench.call(false).is_err());
}

#[test]
fn trials_that_hang_do_not_block_it_for_ever() {
    let mut bench = Bench::new(Config::default());
    bench.open();
    bench.now_ns += SECOND;
    let mut hanging: Vec<_> = (0..3).map(|_| bench.breaker.enter(bench.now_ns).unwrap()).collect();
    bench.now_ns += TRIAL_PATIENCE.as_nanos() as u64;
    let mut fresh = bench.breaker.enter(bench.now_ns).expect("they have had their time");
    for call in &mut hanging {
        bench.breaker.abandoned(call);
    }
    bench.breaker.succeeded(&mut fresh, QUICK, bench.now_ns);
    let places = std::iter::from_fn(|| bench.breaker.enter(bench.now_ns).ok()).take(10).count();
    assert_eq!(places, 3, "those that hung give back no places of others");
}

#[test]
fn calls_from_before_it_opened_are_one_piece_of_evidence() {
    let mut bench = Bench::new(Config { failures_in_row: Some(1), ..Config::default() });
    let mut calls: Vec<_> = (0..100).map(|_| bench.breaker.enter(bench.now_ns).unwrap()).collect();
    let openings = calls.iter_mut().filter_map(|call| bench.breaker.failed(call, Failure::Ordinary, bench.now_ns)).count();
    assert_eq!(openings, 1);
    let mut late = Call { began_ns: bench.now_ns, is_trial: false };
    bench.now_ns += 2 * SECOND;
    bench.breaker.succeeded(&mut late, QUICK, bench.now_ns);
    assert_eq!(bench.standing(), Standing::HalfOpen, "an answer to a call from before does not acquit either");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Enter,
    Succeed(usize),
    Fail(usize),
    Abandon(usize),
    Probe,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Enter),
        2 => any::<usize>().prop_map(Step::Succeed),
        3 => any::<usize>().prop_map(Step::Fail),
        1 => any::<usize>().prop_map(Step::Abandon),
        1 => Just(Step::Probe),
        2 => (0_u64..4_000).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_few_trials_are_under_way_and_it_lets_somebody_in_again(steps in prop::collection::vec(step(), 0..200)) {
        let config = Config { failures_in_row: Some(2), steady: false, ..Config::default() };
        let (breaker, mut now_ns) = (Breaker::new(config), SECOND);
        let mut under_way: Vec<Call> = Vec::new();
        for step in steps {
            match step {
                Step::Enter => under_way.extend(breaker.enter(now_ns)),
                Step::Probe => breaker.probe_succeeded(now_ns),
                Step::Wait(ms) => now_ns += ms * MS,
                Step::Succeed(index) | Step::Fail(index) | Step::Abandon(index) if !under_way.is_empty() => {
                    let mut call = under_way.swap_remove(index % under_way.len());
                    match step {
                        Step::Succeed(_) => drop(breaker.succeeded(&mut call, QUICK, now_ns)),
                        Step::Fail(_) => drop(breaker.failed(&mut call, Failure::Ordinary, now_ns)),
                        _ => breaker.abandoned(&mut call),
                    }
                }
                _ => {}
            }
            let patience_ns = TRIAL_PATIENCE.as_nanos() as u64;
            let recent = under_way.iter().filter(|call| call.is_trial && call.began_ns + patience_ns > now_ns).count();
            prop_assert!(recent <= 2 * usize::from(config.trials), "{} trials", recent);
        }
        prop_assert!(breaker.admits(now_ns + config.open_max.as_nanos() as u64 + TRIAL_PATIENCE.as_nanos() as u64 + MS));
    }

    #[test]
    fn a_state_survives_its_packing(word in any::<u64>()) {
        let state = State::unpack(word);
        prop_assert_eq!(State::unpack(state.pack()), state);
    }
}
