//! What a run showed, for people and for programs.

use std::fmt::Write as _;

use super::Outcome;

/// One line for each way in.
pub(super) fn table(outcomes: &[Outcome], rate: u32) -> String {
    let mut text = format!(
        "{rate} requests per second; p99 and the slowest in ms, before and during.\n\n\
         | way in | requests | failed | p99 before | p99 | slowest before | slowest | reloads | upgrades | WebSockets | dropped |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for outcome in outcomes {
        let (calm, during) = (&outcome.calm.totals, &outcome.stage.totals);
        let ms = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"));
        let cells = [
            outcome.way.name().to_owned(),
            during.due.to_string(),
            (during.due - during.good).to_string(),
            ms(calm.good_ms(0.99)),
            ms(during.good_ms(0.99)),
            ms(calm.good_ms(1.0)),
            ms(during.good_ms(1.0)),
            outcome.reloads.to_string(),
            outcome.upgrades.to_string(),
            outcome.websockets.to_string(),
            outcome.dropped.to_string(),
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

pub(super) fn raw(outcomes: &[Outcome]) -> String {
    let mut text =
        "way,requests,good,p50_before_ms,p50_ms,p99_before_ms,p99_ms,max_before_ms,max_ms,reloads,upgrades,websockets,dropped\n".to_owned();
    for outcome in outcomes {
        let (calm, during) = (&outcome.calm.totals, &outcome.stage.totals);
        let _ = write!(text, "{},{},{}", outcome.way.name(), during.due, during.good);
        for quantile in [0.5, 0.99, 1.0] {
            for totals in [calm, during] {
                let _ = write!(text, ",{:.3}", totals.good_ms(quantile).unwrap_or(f64::NAN));
            }
        }
        let _ = writeln!(text, ",{},{},{},{}", outcome.reloads, outcome.upgrades, outcome.websockets, outcome.dropped);
    }
    text
}
