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
pub(super) struct Row {
    pub candidate: &'static str,
    pub total_us: Spread,
    pub user_us: f64,
    pub system_us: f64,
    pub requests_per_second: f64,
    /// This candidate's cost over the reference's in the same round.
    pub ratio: Spread,
    pub instructions: Option<f64>,
}

/// A row per candidate in the order given; the first one is the reference.
pub(super) fn rows(candidates: &[&'static str], samples: &[Sample], instructions: &[(&'static str, f64)]) -> Vec<Row> {
    let of = |candidate: &str| samples.iter().filter(|sample| sample.candidate == candidate).collect::<Vec<_>>();
    let reference = candidates.first().map(|name| of(name)).unwrap_or_default();
    let row = |candidate: &&'static str| {
        let own = of(candidate);
        let in_round = |round| reference.iter().find(|sample| sample.round == round);
        let ratios = own.iter().filter_map(|sample| Some(sample.total_us() / in_round(sample.round)?.total_us()));
        let median_of = |figure: fn(&Sample) -> f64| spread(own.iter().map(|sample| figure(sample))).median;
        Row {
            candidate,
            total_us: spread(own.iter().map(|sample| sample.total_us())),
            user_us: median_of(Sample::user_us),
            system_us: median_of(Sample::system_us),
            requests_per_second: median_of(Sample::requests_per_second),
            ratio: spread(ratios),
            instructions: instructions.iter().find(|(name, _)| name == candidate).map(|(_, count)| *count),
        }
    };
    candidates.iter().map(row).collect()
}

/// The rows as a Markdown table.
pub(super) fn table(rows: &[Row]) -> String {
    let reference = rows.first().map_or("", |row| row.candidate);
    let counted = rows.iter().any(|row| row.instructions.is_some());
    let mut text = format!("| server | µs per request | user + system | min–max | to {reference} | spread of the ratio | requests/s |");
    text.push_str(if counted { " instructions |\n" } else { "\n" });
    text.push_str(if counted { "|---|--:|--:|--:|--:|--:|--:|--:|\n" } else { "|---|--:|--:|--:|--:|--:|--:|\n" });
    for row in rows {
        let Row { candidate, total_us, user_us, system_us, requests_per_second, ratio, instructions } = row;
        let Spread { median, min, max } = total_us;
        let _ = write!(
            text,
            "| {candidate} | {median:.1} | {user_us:.1} + {system_us:.1} | {min:.1}–{max:.1} | {:.2} | {:.2}–{:.2} | {requests_per_second:.0} |",
            ratio.median, ratio.min, ratio.max
        );
        if counted {
            let _ = write!(text, " {} |", instructions.map_or("–".to_owned(), |count| format!("{count:.0}")));
        }
        text.push('\n');
    }
    text
}

/// Every run, as written to `raw.csv`.
pub(super) fn csv(samples: &[Sample]) -> String {
    let mut text = "round,candidate,requests,seconds,user_us,system_us\n".to_owned();
    for Sample { candidate, round, requests, seconds, spent } in samples {
        let _ = writeln!(text, "{round},{candidate},{requests},{seconds},{},{}", spent.user_us, spent.system_us);
    }
    text
}

fn spread(values: impl Iterator<Item = f64>) -> Spread {
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

    fn sample(candidate: &'static str, round: u32, microseconds: u64) -> Sample {
        Sample { candidate, round, requests: 1, seconds: 1.0, spent: Spent { user_us: microseconds, system_us: 0 } }
    }

    #[test]
    fn a_noisy_round_falls_on_both_sides_of_a_ratio() {
        let samples =
            [sample("a", 1, 10), sample("b", 1, 20), sample("a", 2, 30), sample("b", 2, 60), sample("b", 3, 40), sample("a", 3, 20)];
        let rows = rows(&["a", "b"], &samples, &[]);
        assert_eq!(rows[1].total_us, Spread { median: 40.0, min: 20.0, max: 60.0 });
        assert_eq!(rows[1].ratio, Spread { median: 2.0, min: 2.0, max: 2.0 });
        assert_eq!(rows[0].ratio, Spread { median: 1.0, min: 1.0, max: 1.0 });
    }

    #[test]
    fn the_median_of_an_even_count_lies_between_the_middle_two() {
        assert_eq!(spread([4.0, 1.0, 2.0, 9.0].into_iter()), Spread { median: 3.0, min: 1.0, max: 9.0 });
    }

    #[test]
    fn the_table_has_a_line_for_each_candidate() {
        let rows = rows(&["a", "b"], &[sample("a", 1, 10), sample("b", 1, 15)], &[("b", 1234.4)]);
        let table = table(&rows);
        assert!(
            table.lines().nth(3).unwrap().starts_with("| b | 15.0 | 15.0 + 0.0 | 15.0–15.0 | 1.50 | 1.50–1.50 | 1 | 1234 |"),
            "{table}"
        );
        assert_eq!(table.lines().count(), 4);
    }
}
