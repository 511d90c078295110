//! How far a figure can be trusted: ranges instead of single numbers, and whether two runs differ by more than chance.
//!
//! Requests of one moment share its luck (a garbage collection, a neighbour on the machine), so a run of 30 s is thirty observations and
//! not sixty thousand: comparisons resample whole slots of time. Everything here is pure; randomness is seeded.

use std::ops::RangeInclusive;

/// The standard normal deviate that 95 % of the mass lies within.
pub const Z95: f64 = 1.959_964;

/// From and to, both included.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Range {
    pub low: f64,
    pub high: f64,
}

impl Range {
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Where a share lies that was seen `hits` times in `total` trials (Wilson's score interval, 95 %). It behaves at 0 and at 1, where
/// the textbook's interval has no width.
pub fn share_range(hits: u64, total: u64) -> Range {
    if total == 0 {
        return Range { low: 0.0, high: 1.0 };
    }
    let (count, share) = (total as f64, hits as f64 / total as f64);
    let z2 = Z95 * Z95;
    let centre = (share + z2 / (2.0 * count)) / (1.0 + z2 / count);
    let half = Z95 / (1.0 + z2 / count) * (share * (1.0 - share) / count + z2 / (4.0 * count * count)).sqrt();
    Range { low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
}

/// The ranks (from 1) of the ordered sample between which the quantile of its source lies (binomial, 95 %).
pub fn quantile_ranks(quantile: f64, count: u64) -> RangeInclusive<u64> {
    if count == 0 {
        return 0..=0;
    }
    let (centre, half) = (quantile * count as f64, Z95 * (count as f64 * quantile * (1.0 - quantile)).sqrt());
    let low = (centre - half).floor().max(1.0) as u64;
    let high = ((centre + half).ceil() as u64 + 1).clamp(low, count);
    low.min(count)..=high
}

/// Draws a sample anew from itself, `count` times: the indices of each draw. What a figure does from draw to draw is how far chance moves
/// it (bootstrap).
pub fn draws(size: usize, count: usize, seed: u64) -> impl Iterator<Item = Vec<usize>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let count = if size == 0 { 0 } else { count };
    (0..count).map(move |_| std::iter::repeat_with(|| random.usize(..size)).take(size).collect())
}

/// Where the middle `level` (0.95, say) of the values lies; none without values.
pub fn middle(mut values: Vec<f64>, level: f64) -> Option<Range> {
    values.sort_unstable_by(f64::total_cmp);
    let outside = (1.0 - level) / 2.0;
    (!values.is_empty()).then(|| Range { low: sorted_quantile(&values, outside), high: sorted_quantile(&values, 1.0 - outside) })
}

/// The probability that two samples of one source differ in rank as much as these (Mann-Whitney, two-sided, normal approximation with
/// ties). It asks nothing of the shape of the source; below about eight values a side it is rough.
pub fn mann_whitney(left: &[f64], right: &[f64]) -> f64 {
    let (m, n) = (left.len() as f64, right.len() as f64);
    if left.is_empty() || right.is_empty() {
        return 1.0;
    }
    let mut all: Vec<(f64, bool)> = left.iter().map(|value| (*value, true)).chain(right.iter().map(|value| (*value, false))).collect();
    all.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    let (mut rank_sum, mut ties, mut begin) = (0.0, 0.0, 0);
    for group in all.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
        let size = group.len() as f64;
        let rank = begin as f64 + f64::midpoint(size, 1.0);
        rank_sum += rank * group.iter().filter(|(_, is_left)| *is_left).count() as f64;
        ties += size.powi(3) - size;
        begin += group.len();
    }
    let u = rank_sum - m * (m + 1.0) / 2.0;
    let total = m + n;
    let variance = m * n / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)).max(1.0));
    if variance <= 0.0 {
        return 1.0;
    }
    // Half a rank towards the middle: U is a whole number, the normal curve is not.
    let distance = ((u - m * n / 2.0).abs() - 0.5).max(0.0);
    2.0 * normal_tail(distance / variance.sqrt())
}

/// The median; none of an empty sample.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| sorted_quantile(&sorted, 0.5))
}

/// By how much `values` grow per unit of `times` (Theil-Sen: the median of all slopes, which a few outliers cannot bend).
pub fn slope(times: &[f64], values: &[f64]) -> Option<f64> {
    let points: Vec<_> = times.iter().zip(values).collect();
    let mut slopes = Vec::new();
    for (index, (time, value)) in points.iter().enumerate() {
        let later = points[index + 1..].iter().filter(|(later, _)| *later > time);
        slopes.extend(later.map(|(later, grown)| (*grown - *value) / (*later - *time)));
    }
    median(&slopes)
}

/// Between two neighbours in proportion.
fn sorted_quantile(sorted: &[f64], quantile: f64) -> f64 {
    let position = quantile * (sorted.len() - 1) as f64;
    let (below, share) = (position.floor() as usize, position.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] * (1.0 - share) + sorted[above] * share
}

/// The mass of the standard normal curve beyond `z` (Abramowitz and Stegun 26.2.17; error below 1e-7).
fn normal_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let polynomial = t * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(left: f64, right: f64, tolerance: f64) {
        assert!((left - right).abs() <= tolerance, "{left} is not {right}");
    }

    #[test]
    fn wilson_ranges_are_those_of_the_textbook() {
        for (hits, total, low, high) in [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (1, 100, 0.0018, 0.0545)] {
            let range = share_range(hits, total);
            close(range.low, low, 1e-4);
            close(range.high, high, 1e-4);
        }
        assert_eq!(share_range(0, 0), Range { low: 0.0, high: 1.0 });
    }

    #[test]
    fn ranks_enclose_the_quantile() {
        assert_eq!(quantile_ranks(0.5, 100), 40..=61);
        assert_eq!(quantile_ranks(0.99, 10_000), 9_880..=9_921);
        assert_eq!(quantile_ranks(0.99, 10), 9..=10);
        assert_eq!(quantile_ranks(0.5, 0), 0..=0);
    }

    #[test]
    fn ranks_hold_their_promise_of_95_percent() {
        let mut random = fastrand::Rng::with_seed(7);
        let (trials, size) = (2_000, 500);
        let ranks = quantile_ranks(0.9, size);
        let covered = (0..trials).filter(|_| {
            let mut sample: Vec<f64> = (0..size).map(|_| random.f64()).collect();
            sample.sort_unstable_by(f64::total_cmp);
            (sample[*ranks.start() as usize - 1]..=sample[*ranks.end() as usize - 1]).contains(&0.9)
        });
        let share = covered.count() as f64 / f64::from(trials);
        assert!((0.94..=0.98).contains(&share), "{share}");
    }

    #[test]
    fn the_bootstrap_agrees_with_theory_for_a_mean() {
        let mut random = fastrand::Rng::with_seed(3);
        let sample: Vec<f64> = (0..400).map(|_| random.f64()).collect();
        let mean = |indices: Vec<usize>| indices.iter().map(|index| sample[*index]).sum::<f64>() / indices.len() as f64;
        let range = middle(draws(sample.len(), 2_000, 1).map(mean).collect(), 0.95).unwrap();
        // The deviation of a uniform variable is √(1/12).
        let expected = 2.0 * Z95 * (1.0 / 12.0_f64).sqrt() / 20.0;
        close(range.high - range.low, expected, expected * 0.1);
        assert_eq!((draws(0, 100, 1).count(), middle(Vec::new(), 0.95)), (0, None));
    }

    #[test]
    fn mann_whitney_gives_the_known_probabilities() {
        let (low, high): (Vec<f64>, Vec<f64>) = ((1..=10).map(f64::from).collect(), (11..=20).map(f64::from).collect());
        close(mann_whitney(&low, &high), 0.000_183, 1e-6);
        close(mann_whitney(&low, &low), 1.0, 1e-6);
        assert!(mann_whitney(&[1.0; 5], &[1.0; 9]) > 0.999, "all ties say nothing");
        assert!(mann_whitney(&[], &high) > 0.999);
    }

    #[test]
    fn a_slope_ignores_outliers() {
        let times: Vec<f64> = (0..10).map(f64::from).collect();
        let mut values: Vec<f64> = times.iter().map(|time| 3.0 + 0.5 * time).collect();
        values[4] = 100.0;
        close(slope(&times, &values).unwrap(), 0.5, 1e-9);
        assert_eq!(slope(&[1.0], &[1.0]), None);
    }

    #[test]
    fn medians_lie_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
