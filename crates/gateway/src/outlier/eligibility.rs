//! The panic threshold: when too few members are good, judging them does more harm than trying them.
//!
//! If most members look bad, either the fault lies elsewhere (the network, a shared database) or the few good ones would be crushed by the
//! load of all. So below the threshold health and ejection are ignored.

/// Who may take a request, decided once per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eligibility {
    /// The members that are healthy and not ejected.
    Good,
    /// Too few of them are: every member.
    Everyone,
}

impl Eligibility {
    /// Looks only at as many members as it takes to reach the threshold. The members are those meant to take traffic: one that drains
    /// or has not started is none, or a panic would include it.
    pub fn of(good: impl ExactSizeIterator<Item = bool>, panic_threshold: f32) -> Self {
        let least = (good.len() as f32 * panic_threshold).ceil().max(1.0) as usize;
        if good.filter(|good| *good).take(least).count() == least { Self::Good } else { Self::Everyone }
    }

    pub fn admits(self, good: bool) -> bool {
        good || self == Self::Everyone
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn eligible(members: &[bool], panic_threshold: f32) -> usize {
        let eligibility = Eligibility::of(members.iter().copied(), panic_threshold);
        members.iter().filter(|good| eligibility.admits(**good)).count()
    }

    #[test]
    fn few_good_members_mean_everybody() {
        let cases: [(&[bool], usize); 8] = [
            (&[true, true, true], 3),
            (&[true, false, false], 1),
            (&[false, false, false], 3),
            (&[false], 1),
            (&[true, false, false, false], 1),
            (&[true, false, false, false, false], 5),
            (&[true, true, false, false, false], 2),
            (&[], 0),
        ];
        for (members, expected) in cases {
            assert_eq!(eligible(members, 0.25), expected, "{members:?}");
        }
        assert_eq!(eligible(&[false, false], 0.0), 2, "a threshold of nothing still never ejects everybody");
    }

    proptest! {
        #[test]
        fn somebody_is_always_eligible(members in prop::collection::vec(any::<bool>(), 1..50), threshold in 0.0_f32..=1.0) {
            let eligible = eligible(&members, threshold);
            let good = members.iter().filter(|good| **good).count();
            let panics = good == 0 || (good as f32) < members.len() as f32 * threshold;
            prop_assert_eq!(eligible, if panics { members.len() } else { good });
        }
    }
}
