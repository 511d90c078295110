//! Many runs condensed to a few honest figures: medians, the whole spread, and ratios of runs that lay side by side.

use std::fmt::Write as _;

use super::rounds::Sample;

/// A median with the smallest and the largest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

/// One candidate's figures.
pub(super) struct Row<C> {
    pub candidate: C,
    pub total_us: Spread,
    pub user_us: f64,
    pub system_us: f64,
    pub requests_per_second: f64,
}

/// What the runs of `candidate` come to; none without any.
pub(super) fn row<C: Copy + PartialEq>(candidate: C, samples: &[Sample<C>]) -> Option<Row<C>> {
    let own: Vec<_> = samples.iter().filter(|sample| sample.candidate == candidate).collect();
    let of = |figure: fn(&Sample<C>) -> f64| spread(own.iter().map(|sample| figure(sample)));
    (!own.is_empty()).then(|| Row {
        candidate,
        total_us: of(Sample::total_us),
        user_us: of(Sample::user_us).median,
        system_us: of(Sample::system_us).median,
        requests_per_second: of(Sample::requests_per_second).median,
    })
}

/// The cost of `candidate` over that of `reference` in the same round.
pub(super) fn ratio<C: PartialEq>(candidate: &C, reference: &C, samples: &[Sample<C>]) -> Spread {
    let in_round = |round| samples.iter().find(|sample| sample.candidate == *reference && sample.round == round);
    let own = samples.iter().filter(|sample| sample.candidate == *candidate);
    spread(own.filter_map(|sample| Some(sample.total_us() / in_round(sample.round)?.total_us())))
}

/// A Markdown table with a row for each candidate that was measured; the first one is what the others are compared with.
pub(super) fn table(candidates: &[&'static str], samples: &[Sample<&'static str>]) -> String {
    let reference = candidates.first().copied().unwrap_or_default();
    let mut text = format!(
        "| server | µs per request | user + system | min–max | to {reference} | spread of the ratio | requests/s |\n\
         |---|--:|--:|--:|--:|--:|--:|\n"
    );
    for row in candidates.iter().filter_map(|candidate| row(*candidate, samples)) {
        let Row { candidate, total_us, user_us, system_us, requests_per_second } = row;
        let Spread { median, min, max } = total_us;
        let ratio = ratio(&candidate, &reference, samples);
        let _ = writeln!(
            text,
            "| {candidate} | {median:.1} | {user_us:.1} + {system_us:.1} | {min:.1}–{max:.1} | {:.2} | {:.2}–{:.2} | {requests_per_second:.0} |",
            ratio.median, ratio.min, ratio.max
        );
    }
    text
}

/// Every run, as written to `raw.csv`.
pub(super) fn csv(samples: &[Sample<&'static str>]) -> String {
    let mut text = "round,candidate,requests,seconds,user_us,system_us\n".to_owned();
    for Sample { candidate, round, requests, seconds, spent } in samples {
        let _ = writeln!(text, "{round},{candidate},{requests},{seconds},{},{}", spent.user_us, spent.system_us);
    }
    text
}

pub(super) fn spread(values: impl Iterator<Item = f64>) -> Spread {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (Some(min), Some(max)) = (values.first(), values.last()) else { return Spread { median: f64::NAN, min: f64::NAN, max: f64::NAN } };
    let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
    Spread { median, min: *min, max: *max }
}

#[cfg(test)]
mod tests {
    use super::super::processor::Spent;
    use super::*;

    fn sample(candidate: &'static str, round: u32, microseconds: u64) -> Sample<&'static str> {
        Sample { candidate, round, requests: 1, seconds: 1.0, spent: Spent { user_us: microseconds, system_us: 0 } }
    }

    #[test]
    fn a_noisy_round_falls_on_both_sides_of_a_ratio() {
        let samples =
            [sample("a", 1, 10), sample("b", 1, 20), sample("a", 2, 30), sample("b", 2, 60), sample("b", 3, 40), sample("a", 3, 20)];
        assert_eq!(row("b", &samples).unwrap().total_us, Spread { median: 40.0, min: 20.0, max: 60.0 });
        assert_eq!(ratio(&"b", &"a", &samples), Spread { median: 2.0, min: 2.0, max: 2.0 });
        assert!(row("c", &samples).is_none());
    }

    #[test]
    fn the_median_of_an_even_count_lies_between_the_middle_two() {
        assert_eq!(spread([4.0, 1.0, 2.0, 9.0].into_iter()), Spread { median: 3.0, min: 1.0, max: 9.0 });
    }

    #[test]
    fn the_table_has_a_line_for_each_candidate_that_was_measured() {
        let table = table(&["a", "b", "c"], &[sample("a", 1, 10), sample("b", 1, 15)]);
        assert!(table.ends_with("| b | 15.0 | 15.0 + 0.0 | 15.0–15.0 | 1.50 | 1.50–1.50 | 1 |\n"), "{table}");
        assert_eq!(table.lines().count(), 4);
    }
}
