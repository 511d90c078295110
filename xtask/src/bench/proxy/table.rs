//! A workload's section: what was asked, what it cost whom, in time and in instructions, and how that relates to nginx and to the better of nginx
//! and `HAProxy`.

use std::fmt::Write as _;

use super::super::rounds::Sample;
use super::super::summary::{self, Spread, spread};
use super::figures::{Count, Entry, Figures, Weight};
use super::peer::Peer;
use super::workload::Workload;

/// Those that the others are compared with.
const REFERENCES: [Peer; 2] = [Peer::Nginx, Peer::Haproxy];

pub(super) fn section(workload: Workload, figures: &Figures) -> String {
    let Figures { samples, counts, weights } = figures;
    let table = match workload {
        Workload::Idle => memory(&weights.rows),
        _ if workload.sizes().len() > 1 => growth(workload, &samples.rows, &counts.rows),
        _ => costs(&samples.rows, &counts.rows),
    };
    let mut text = format!("{}\n\n{}\n", workload.explanation(), markdown(&table));
    let told = [("CPU time", &samples.circumstances), ("Instructions", &counts.circumstances), ("Memory", &weights.circumstances)];
    let mut told: Vec<_> = told.into_iter().filter(|(_, circumstances)| !circumstances.is_empty()).collect();
    if told.len() == 2 && told[0].1 == told[1].1 {
        told = vec![("CPU time and instructions", told[0].1)];
    }
    for (what, circumstances) in told {
        let _ = writeln!(text, "{what}: {circumstances}");
    }
    text
}

/// Cells, the head first.
type Cells = Vec<Vec<String>>;

/// A row for each server.
fn costs(samples: &[Sample<Entry>], counts: &[Count]) -> Cells {
    let head = [
        "server",
        "µs per request",
        "user + system",
        "min–max",
        "to nginx",
        "to the better",
        "spread of that",
        "instructions",
        "to nginx",
        "to the better",
    ];
    let mut cells = vec![head.map(str::to_owned).to_vec()];
    for entry in entries(samples, counts) {
        let mut row = vec![entry.peer.name().to_owned()];
        match summary::row(entry, samples) {
            Some(own) => {
                let Spread { median, min, max } = own.total_us;
                let to = |reference: Option<Entry>| reference.map(|reference| summary::ratio(&entry, &reference, samples));
                let to_better = to(better_in_time(entry.size, samples));
                row.extend([
                    format!("{median:.1}"),
                    format!("{:.1} + {:.1}", own.user_us, own.system_us),
                    format!("{min:.1}–{max:.1}"),
                    to(Some(Entry { peer: Peer::Nginx, ..entry })).map_or_else(dash, |ratio| number(ratio.median, 2)),
                    to_better.map_or_else(dash, |ratio| number(ratio.median, 2)),
                    to_better
                        .filter(|ratio| ratio.median.is_finite())
                        .map_or_else(dash, |ratio| format!("{:.2}–{:.2}", ratio.min, ratio.max)),
                ]);
            }
            None => row.extend(std::iter::repeat_with(dash).take(6)),
        }
        row.extend(counted(entry, counts));
        cells.push(row);
    }
    without_empty_columns(&cells)
}

/// A row for each server, with its figures at each size and how they grow from the smallest to the largest.
fn growth(workload: Workload, samples: &[Sample<Entry>], counts: &[Count]) -> Cells {
    let sizes = workload.sizes();
    let (Some(smallest), Some(largest)) = (sizes.first(), sizes.last()) else { return Vec::new() };
    let mut head = vec!["server".to_owned()];
    for (unit, growth) in [("µs", "growth"), ("instructions", "growth")] {
        head.extend(sizes.iter().map(|size| format!("{unit}, {size}")));
        head.push(growth.to_owned());
    }
    head.extend([format!("to nginx, {largest}"), format!("to the better, {largest}")]);
    let mut cells = vec![head];
    for Entry { peer, .. } in entries(samples, counts).into_iter().filter(|entry| entry.size == *smallest) {
        let at = |size: &usize| Entry { peer, size: *size };
        let time = |size| summary::row(at(size), samples).map_or(f64::NAN, |row| row.total_us.median);
        let instructions = |size| count_of(at(size), counts).unwrap_or(f64::NAN);
        let mut row = vec![peer.name().to_owned()];
        row.extend(sizes.iter().map(|size| number(time(size), 1)));
        row.push(number(summary::ratio(&at(largest), &at(smallest), samples).median, 2));
        row.extend(sizes.iter().map(|size| number(instructions(size), 0)));
        row.push(number(instructions(largest) / instructions(smallest), 2));
        row.extend(counted(at(largest), counts).into_iter().skip(1));
        cells.push(row);
    }
    without_empty_columns(&cells)
}

fn memory(weights: &[Weight]) -> Cells {
    let connections = weights.first().map_or(0, |weight| weight.connections);
    let head = ["server", "KiB each", "min–max", "MiB without", "MiB with"].map(str::to_owned);
    let mut cells = vec![head.to_vec()];
    cells[0][4] = format!("MiB with {connections}");
    let mut seen: Vec<Entry> = Vec::new();
    for weight in weights {
        if seen.contains(&weight.entry) {
            continue;
        }
        seen.push(weight.entry);
        let own = || weights.iter().filter(|other| other.entry == weight.entry);
        let each = spread(own().map(Weight::kib_each));
        let mib = |kib: fn(&Weight) -> u64| number(spread(own().map(|weight| kib(weight) as f64 / 1024.0)).median, 1);
        let range = format!("{:.1}–{:.1}", each.min, each.max);
        cells.push(vec![weight.entry.to_string(), number(each.median, 1), range, mib(|own| own.before_kib), mib(|own| own.after_kib)]);
    }
    cells
}

/// Instructions, and how they relate to those of the references.
fn counted(entry: Entry, counts: &[Count]) -> [String; 3] {
    let of = |peer| count_of(Entry { peer, ..entry }, counts);
    let own = of(entry.peer);
    let better = REFERENCES.into_iter().filter_map(of).min_by(f64::total_cmp);
    let ratio = |reference: Option<f64>| own.zip(reference).map_or_else(dash, |(own, reference)| number(own / reference, 2));
    [own.map_or_else(dash, |count| number(count, 0)), ratio(of(Peer::Nginx)), ratio(better)]
}

fn count_of(entry: Entry, counts: &[Count]) -> Option<f64> {
    counts.iter().find(|count| count.entry == entry).map(|count| count.instructions)
}

/// The reference with the lower median.
fn better_in_time(size: usize, samples: &[Sample<Entry>]) -> Option<Entry> {
    let rows = REFERENCES.into_iter().filter_map(|peer| summary::row(Entry { peer, size }, samples));
    rows.min_by(|one, other| one.total_us.median.total_cmp(&other.total_us.median)).map(|row| row.candidate)
}

/// Everybody who was measured, each once, in the order of the competitors.
fn entries(samples: &[Sample<Entry>], counts: &[Count]) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    for entry in samples.iter().map(|sample| sample.candidate).chain(counts.iter().map(|count| count.entry)) {
        if !all.contains(&entry) {
            all.push(entry);
        }
    }
    all.sort_by_key(|entry| (entry.size, entry.peer as usize));
    all
}

fn number(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{value:.digits$}") } else { dash() }
}

fn dash() -> String {
    "–".to_owned()
}

/// Figures that nobody has were not measured this time.
fn without_empty_columns(cells: &Cells) -> Cells {
    let columns = cells.first().map_or(0, Vec::len);
    let is_full = |column: &usize| cells.iter().skip(1).any(|row| row[*column] != dash());
    let full: Vec<usize> = (0..columns).filter(is_full).collect();
    cells.iter().map(|row| full.iter().map(|column| row[*column].clone()).collect()).collect()
}

fn markdown(cells: &Cells) -> String {
    let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
    let Some((head, rows)) = cells.split_first() else { return String::new() };
    let rule = format!("|---|{}\n", "--:|".repeat(head.len().saturating_sub(1)));
    [line(head), rule].into_iter().chain(rows.iter().map(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::processor::Spent;
    use super::*;

    fn sample(peer: Peer, size: usize, microseconds: u64) -> Sample<Entry> {
        let spent = Spent { user_us: microseconds, system_us: 0 };
        Sample { candidate: Entry { peer, size }, round: 1, requests: 1, seconds: 1.0, spent }
    }

    fn count(peer: Peer, size: usize, instructions: f64) -> Count {
        Count { entry: Entry { peer, size }, instructions }
    }

    #[test]
    fn everybody_is_compared_with_nginx_and_with_the_better_of_two() {
        let mut figures = Figures::default();
        figures.samples.replace("today", vec![sample(Peer::Nginx, 0, 20), sample(Peer::Haproxy, 0, 10), sample(Peer::Plimsoll, 0, 15)]);
        figures.counts.replace("today", vec![count(Peer::Plimsoll, 0, 12_000.0), count(Peer::Nginx, 0, 24_000.0)]);
        let text = section(Workload::Get, &figures);
        let row = "| plimsoll | 15.0 | 15.0 + 0.0 | 15.0–15.0 | 0.75 | 1.50 | 1.50–1.50 | 12000 | 0.50 | 0.50 |\n";
        assert!(text.contains(row) && text.ends_with("CPU time and instructions: today\n"), "{text}");
        let haproxy = text.lines().find(|line| line.starts_with("| haproxy")).unwrap();
        assert!(haproxy.ends_with("| – | – | – |"), "{text}");
    }

    #[test]
    fn growth_is_from_the_smallest_to_the_largest() {
        let mut figures = Figures::default();
        figures.counts.replace("today", [(1, 10.0), (100, 11.0), (1_000, 12.0)].map(|(size, sum)| count(Peer::Nginx, size, sum)).to_vec());
        let text = section(Workload::Routes, &figures);
        assert!(text.contains("| nginx | 10 | 11 | 12 | 1.20 | 1.00 | 1.00 |\n"), "{text}");
    }

    #[test]
    fn memory_is_told_for_each_connection() {
        let mut figures = Figures::default();
        let entry = Entry { peer: Peer::Caddy, size: 0 };
        figures.weights.replace("today", vec![Weight { entry, round: 1, connections: 10, before_kib: 1_024, after_kib: 1_124 }]);
        let text = section(Workload::Idle, &figures);
        assert!(text.contains("MiB with 10 |") && text.contains("| caddy | 10.0 | 10.0–10.0 | 1.0 | 1.1 |\n"), "{text}");
    }
}
