//! How long a dead instance waits for its next start: exponential, with full jitter so that a fleet does not restart in step.

use std::time::Duration;

use crate::spec::Backoff;

/// The first restart comes at most this late, whatever the configured start of the curve: one death is bad luck.
const FIRST_MAX: Duration = Duration::from_millis(100);
/// A process that got as far as serving is worth having back soon, and its own start-up already limits the rate.
const SERVED_MAX: Duration = Duration::from_secs(1);

/// How an instance came to die.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Death {
    /// Deaths since it was last stable, this one included.
    pub in_a_row: u32,
    /// Whether this process was ready at any time.
    pub served: bool,
}

impl Backoff {
    /// The longest wait after this death.
    pub(crate) fn ceiling(&self, death: Death) -> Duration {
        if death.in_a_row <= 1 {
            return self.initial.min(FIRST_MAX).min(self.max);
        }
        let doublings = (death.in_a_row - 1).min(31);
        let ceiling = self.initial.saturating_mul(1 << doublings).min(self.max);
        if death.served { ceiling.min(SERVED_MAX) } else { ceiling }
    }

    /// A wait drawn evenly between nothing and the ceiling.
    pub(crate) fn delay(&self, death: Death, random: &mut fastrand::Rng) -> Duration {
        self.ceiling(death).mul_f64(random.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceiling_ms(in_a_row: u32, served: bool) -> u128 {
        Backoff::default().ceiling(Death { in_a_row, served }).as_millis()
    }

    #[test]
    fn doubles_up_to_the_maximum() {
        assert_eq!([1, 2, 3, 4].map(|deaths| ceiling_ms(deaths, false)), [100, 200, 400, 800]);
        assert_eq!([8, 40, u32::MAX].map(|deaths| ceiling_ms(deaths, false)), [10_000; 3]);
    }

    #[test]
    fn the_first_restart_is_nearly_immediate_even_with_a_slow_curve() {
        let slow = Backoff { initial: Duration::from_secs(5), max: Duration::from_mins(1) };
        assert_eq!(slow.ceiling(Death { in_a_row: 1, served: true }), FIRST_MAX);
    }

    #[test]
    fn an_instance_that_served_never_waits_longer_than_a_second() {
        assert_eq!([5, 500].map(|deaths| ceiling_ms(deaths, true)), [1_000; 2]);
    }

    #[test]
    fn jitter_fills_the_whole_range_and_repeats_with_its_seed() {
        let draw = |seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            let death = Death { in_a_row: 20, served: false };
            (0..200).map(|_| Backoff::default().delay(death, &mut random)).collect::<Vec<_>>()
        };
        let delays = draw(7);
        assert_eq!(delays, draw(7));
        assert!(delays.iter().any(|delay| *delay < Duration::from_secs(1)));
        assert!(delays.iter().any(|delay| *delay > Duration::from_secs(9)));
        assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(10)));
    }
}
