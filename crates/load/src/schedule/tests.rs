//! The right number of requests, at the right moments, whatever the stages and however they are shared.

use proptest::prelude::*;

use super::*;

fn stage() -> impl Strategy<Value = Stage> {
    let rate = prop_oneof![Just(0.0), 0.1..500.0_f64];
    (rate.clone(), rate, 1..5_000_u64).prop_map(|(from_rate, to_rate, ms)| Stage { from_rate, to_rate, lasts: Duration::from_millis(ms) })
}

fn all(stages: &[Stage], arrivals: Arrivals, seed: u64, share: Share) -> Vec<Due> {
    Schedule::new(stages, arrivals, seed, share).collect()
}

proptest! {
    #[test]
    fn every_stage_gets_the_number_that_it_promises(stages in prop::collection::vec(stage(), 1..6), seed: u64, of in 1..4_usize) {
      for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
        let dues: Vec<Due> = (0..of).flat_map(|index| all(&stages, arrivals, seed, Share { index, of })).collect();
        let mut promised = 0.0;
        for (index, stage) in stages.iter().enumerate() {
            promised += stage.requests();
            let came = dues.iter().filter(|due| due.stage <= index).count() as f64;
            prop_assert!((came - promised).abs() <= 0.5 + 1e-6, "{came} instead of {promised}");
        }
      }
    }

    #[test]
    fn moments_rise_and_lie_within_their_stage(stages in prop::collection::vec(stage(), 1..6), seed: u64, constant: bool) {
        let arrivals = if constant { Arrivals::Constant } else { Arrivals::Poisson };
        let dues = all(&stages, arrivals, seed, Share::WHOLE);
        prop_assert!(dues.is_sorted_by(|a, b| a.at <= b.at && a.stage <= b.stage));
        for due in dues {
            let starts: Duration = stages[..due.stage].iter().map(|stage| stage.lasts).sum();
            let slack = Duration::from_nanos(100);
            prop_assert!(due.at + slack >= starts && due.at <= starts + stages[due.stage].lasts + slack);
        }
    }

    #[test]
    fn shares_of_a_constant_schedule_make_the_whole(stages in prop::collection::vec(stage(), 1..4), of in 1..5_usize) {
        let whole = all(&stages, Arrivals::Constant, 1, Share::WHOLE);
        let mut shared: Vec<Due> = (0..of).flat_map(|index| all(&stages, Arrivals::Constant, 1, Share { index, of })).collect();
        shared.sort_by_key(|due| due.at);
        prop_assert_eq!(whole.len(), shared.len());
        for (one, other) in whole.iter().zip(&shared) {
            prop_assert!(one.at.abs_diff(other.at) < Duration::from_micros(1));
        }
    }
}

/// Mean and variance of how many fall into each tenth of a second.
fn moments(dues: &[Due], cells: usize) -> (f64, f64) {
    let mut counts = vec![0.0; cells];
    for due in dues {
        counts[(due.at.as_secs_f64() * 10.0) as usize] += 1.0;
    }
    let mean = counts.iter().sum::<f64>() / cells as f64;
    (mean, counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / cells as f64)
}

#[test]
fn poisson_arrivals_have_the_mean_and_the_variance_of_their_rate() {
    let stages = [Stage::constant(1_000.0, Duration::from_secs(400))];
    for of in [1, 3] {
        let mut dues: Vec<Due> = (0..of).flat_map(|index| all(&stages, Arrivals::Poisson, 7, Share { index, of })).collect();
        dues.sort_by_key(|due| due.at);
        // 4,000 cells of 100 each: the mean is known to 0.16, the variance to 2.3 (one standard error).
        let (mean, variance) = moments(&dues, 4_000);
        assert!((mean - 100.0).abs() < 0.8, "mean {mean}");
        assert!((variance - 100.0).abs() < 12.0, "variance {variance}");
    }
}

#[test]
fn a_rate_held_in_many_slots_is_as_irregular_as_in_one() {
    let slots = [Stage::constant(1_000.0, Duration::from_millis(100)); 100];
    let dues = all(&slots, Arrivals::Poisson, 7, Share::WHOLE);
    let (_, variance) = moments(&dues, 100);
    assert!(dues.len() == 10_000 && variance > 50.0, "{} requests, variance {variance}", dues.len());
}

#[test]
fn the_middle_of_a_ramp_is_reached_after_a_quarter_of_its_requests() {
    let stages = [Stage { from_rate: 0.0, to_rate: 400.0, lasts: Duration::from_secs(10) }];
    let dues = all(&stages, Arrivals::Constant, 1, Share::WHOLE);
    assert_eq!(dues.len(), 2_000);
    let in_first_half = dues.iter().filter(|due| due.at < Duration::from_secs(5)).count();
    assert_eq!(in_first_half, 500);
}

#[test]
fn the_same_seed_gives_the_same_arrivals_and_another_does_not() {
    let stages = [Stage::constant(100.0, Duration::from_secs(1))];
    let of = |seed| all(&stages, Arrivals::Poisson, seed, Share::WHOLE);
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}
