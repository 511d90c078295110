//! A comparison as people read it.

use std::fmt::Write;

use super::{Comparison, Figure, Outcome, Row};
use crate::report::format::{self, printable};

pub fn text(comparison: &Comparison) -> String {
    let mut text = String::new();
    put(&mut text, format_args!("before  {}\nafter   {}\n", printable(&comparison.before), printable(&comparison.after)));
    let widest = comparison.rows.iter().map(|row| row.load.chars().count()).max().unwrap_or(0).max(8);
    if !comparison.rows.is_empty() {
        put(
            &mut text,
            format_args!(
                "\n{:<widest$}  {:<8}  {:>9}  {:>9}  {:>9}  {:<20}  outcome\n",
                "load", "figure", "before", "after", "change", "99 % range"
            ),
        );
    }
    let mut last = "";
    for row in &comparison.rows {
        let load = if row.load == last { "" } else { &row.load };
        last = &row.load;
        put(&mut text, format_args!("{:<widest$}  {}\n", printable(load), columns(row)));
    }
    for load in &comparison.unmatched {
        put(&mut text, format_args!("\nnot compared: {}", printable(load)));
    }
    put(&mut text, format_args!("\n{}\n", conclusion(comparison)));
    text
}

fn columns(row: &Row) -> String {
    let value = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| shown(row.figure, value));
    let range =
        row.range.map_or_else(String::new, |range| format!("{} to {}", signed(row.figure, range.low), signed(row.figure, range.high)));
    let change = row.change.map_or_else(|| "–".to_owned(), |change| signed(row.figure, change));
    let (name, outcome) = (name(row.figure), worded(row.outcome));
    format!("{name:<8}  {:>9}  {:>9}  {change:>9}  {range:<20}  {outcome}", value(row.before), value(row.after)).trim_end().to_owned()
}

fn name(figure: Figure) -> &'static str {
    match figure {
        Figure::Goodput => "goodput",
        Figure::Errors => "errors",
        Figure::P50 => "p50",
        Figure::P90 => "p90",
        Figure::P99 => "p99",
    }
}

fn shown(figure: Figure, value: f64) -> String {
    match figure {
        Figure::Goodput => format!("{}/s", format::rate(value)),
        Figure::Errors => format::share(value),
        Figure::P50 | Figure::P90 | Figure::P99 => format::latency(value),
    }
}

/// Shares differ by points of a percent, everything else by percent.
fn signed(figure: Figure, change: f64) -> String {
    let unit = if figure == Figure::Errors { "pp" } else { "%" };
    let digits = usize::from(change.abs() < 0.1);
    format!("{:+.digits$} {unit}", change * 100.0)
}

fn worded(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Same => "",
        Outcome::Better => "better",
        Outcome::Worse => "WORSE",
        Outcome::Unknown => "too short to tell",
    }
}

fn conclusion(comparison: &Comparison) -> String {
    let count = |outcome| comparison.rows.iter().filter(|row| row.outcome == outcome).count();
    let (better, worse) = (count(Outcome::Better), count(Outcome::Worse));
    if let Some(reason) = comparison.nothing_compared() {
        return reason;
    }
    match (worse, better) {
        (0, 0) => "no difference that chance would not explain".to_owned(),
        (0, better) => format!("better: {better} of {} figures", comparison.rows.len()),
        (worse, 0) => format!("worse: {worse} of {} figures", comparison.rows.len()),
        (worse, better) => format!("worse: {worse}, better: {better} of {} figures", comparison.rows.len()),
    }
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes it");
}
