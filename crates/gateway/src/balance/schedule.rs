//! The order in which weighted members take turns: exact over a cycle, interleaved within it.
//!
//! Written out once per membership, so that a turn is one array read. A uniform draw from the same array is a weighted draw.

/// How many turns a member gets per cycle, against the others. At most 256, which bounds the cycle to 256 turns a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u16);

impl Weight {
    pub const ONE: Self = Self(1);
    pub const MAX: Self = Self(256);

    pub const fn get(self) -> u32 {
        self.0 as u32
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl TryFrom<u32> for Weight {
    type Error = WeightError;

    fn try_from(weight: u32) -> Result<Self, WeightError> {
        match u16::try_from(weight) {
            Ok(fits) if (Self::ONE.0..=Self::MAX.0).contains(&fits) => Ok(Self(fits)),
            _ => Err(WeightError(weight)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a weight is from 1 to 256, not {0}; to take a server out, remove it")]
pub struct WeightError(u32);

/// One cycle of turns, as indices of members.
#[derive(Debug)]
pub(super) struct Schedule(Box<[u32]>);

impl Schedule {
    /// Each member's turns are spread evenly over the cycle. The members start at different phases (multiples of the golden
    /// ratio, which never bunch), or all the light ones would come in one burst.
    pub(super) fn new(weights: &[Weight]) -> Self {
        const GOLDEN: f64 = 0.618_033_988_749_894_9;
        let divisor = weights.iter().fold(0, |divisor, weight| greatest_common_divisor(divisor, weight.get())).max(1);
        let mut turns = Vec::new();
        for (member, weight) in weights.iter().enumerate() {
            let per_cycle = weight.get() / divisor;
            let phase = (member as f64 * GOLDEN).fract();
            turns.extend((0..per_cycle).map(|turn| ((f64::from(turn) + phase) / f64::from(per_cycle), member as u32)));
        }
        turns.sort_by(|(left, left_member), (right, right_member)| left.total_cmp(right).then(left_member.cmp(right_member)));
        Self(turns.into_iter().map(|(_, member)| member).collect())
    }

    /// Whose turn it is; `None` without members.
    pub(super) fn turn(&self, turn: usize) -> Option<usize> {
        let index = turn.checked_rem(self.0.len())?;
        Some(self.0[index] as usize)
    }

    /// A member at random, in proportion to the weights.
    pub(super) fn draw(&self, rng: &mut fastrand::Rng) -> Option<usize> {
        (!self.0.is_empty()).then(|| self.0[rng.usize(..self.0.len())] as usize)
    }
}

fn greatest_common_divisor(mut left: u32, mut right: u32) -> u32 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(weights: &[u32]) -> Vec<u32> {
        let weights: Vec<_> = weights.iter().map(|weight| Weight::try_from(*weight).unwrap()).collect();
        Schedule::new(&weights).0.into_vec()
    }

    #[test]
    fn equal_weights_need_one_turn_each() {
        let mut cycle = schedule(&[7, 7, 7]);
        cycle.sort_unstable();
        assert_eq!(cycle, [0, 1, 2]);
    }

    #[test]
    fn light_members_come_between_the_turns_of_a_heavy_one() {
        assert_eq!(schedule(&[5, 1, 1]), [0, 0, 2, 0, 0, 1, 0]);
    }

    #[test]
    fn weights_outside_the_range_are_refused_by_name() {
        assert!(Weight::try_from(0).is_err());
        assert!(Weight::try_from(256).is_ok());
        assert_eq!(
            Weight::try_from(65_537).unwrap_err().to_string(),
            "a weight is from 1 to 256, not 65537; to take a server out, remove it"
        );
    }

    proptest! {
        #[test]
        fn every_cycle_is_exact_and_every_stretch_of_it_fair(weights in prop::collection::vec(1_u32..=256, 1..12)) {
            let cycle = schedule(&weights);
            let total: u32 = weights.iter().sum();
            for (member, weight) in weights.iter().enumerate() {
                let share = f64::from(*weight) / f64::from(total);
                let mut taken = 0;
                for (turn, takes) in cycle.iter().enumerate() {
                    taken += u32::from(*takes as usize == member);
                    let due = (turn + 1) as f64 * share;
                    // Each other member may be one turn early or late.
                    let bound = 1.0 + weights.len() as f64 * share;
                    prop_assert!((f64::from(taken) - due).abs() <= bound, "member {member} took {taken} of {due} after {turn}");
                }
                prop_assert_eq!(taken * total, *weight * cycle.len() as u32);
            }
        }
    }
}
