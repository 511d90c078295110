//! When answers took how long: time from left to right, latency from bottom to top, darker where more requests fell.
//!
//! Percentiles hide shapes; here a pause is a slope, a cold cache a stripe at the start, and two kinds of requests two bands.

use std::fmt::Write;

use super::super::format::{escaped, latency, time};
use super::scale::{Kind, Scale};
use super::{BOTTOM, LEFT};
use crate::histogram::Histogram;

/// More columns than this would be thinner than anybody can see.
const COLUMNS_MAX: usize = 120;
const ROWS: usize = 36;
/// Shades of the colour, faintest first.
const SHADES: [f64; 6] = [0.10, 0.22, 0.38, 0.56, 0.77, 1.0];

/// A slot of time and the latencies in it.
pub struct Column<'a> {
    /// Seconds from the start to its begin.
    pub from: f64,
    pub seconds: f64,
    pub latency: &'a Histogram,
}

/// Holds all latencies of these columns, so that several maps can have one axis.
pub fn scale<'a>(columns: impl Iterator<Item = &'a Column<'a>>) -> Scale {
    Scale::log(columns.flat_map(|column| column.latency.buckets().map(|(value, _)| value.as_secs_f64().max(1e-6))))
}

/// The heat map as an `<svg>` element; none without answers.
pub fn svg(id: &str, columns: &[Column<'_>], y: Scale, width: f64, height: f64) -> Option<String> {
    columns.iter().find(|column| !column.latency.is_empty())?;
    let end = columns.iter().map(|column| column.from + column.seconds).fold(0.0, f64::max);
    let (left, right, top, bottom) = (LEFT, width - 20.0, 10.0, height - BOTTOM);
    let y = y.over(bottom, top);
    let x = Scale { kind: Kind::Linear, from: 0.0, to: end, begin: left, end: right };
    let mut svg = format!(
        "<svg class=\"plot\" id=\"{id}\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{id}-title {id}-text\">\n\
         <title id=\"{id}-title\">Latency over time</title><desc id=\"{id}-text\">How many requests took how long at each moment of the run, over {}.</desc>\n",
        escaped(&time(end)),
    );
    let cells = cells(columns, end, &y);
    let most = cells.iter().flatten().copied().max().unwrap_or(1).max(1) as f64;
    let cell = ((right - left) / cells.len() as f64, (bottom - top) / ROWS as f64);
    for (shade, opacity) in SHADES.iter().enumerate() {
        let mut path = String::new();
        for (column, rows) in cells.iter().enumerate() {
            for (row, _) in rows.iter().enumerate().filter(|(_, count)| shade_of(**count, most) == Some(shade)) {
                let (at, from) = (left + column as f64 * cell.0, bottom - (row + 1) as f64 * cell.1);
                let _ = write!(path, "M{at:.1} {from:.1}h{:.1}v{:.1}h-{:.1}z", cell.0, cell.1, cell.0);
            }
        }
        let _ = write!(svg, "<path class=\"heat\" fill-opacity=\"{opacity}\" d=\"{path}\"/>");
    }
    axes(&mut svg, &x, &y);
    svg.push_str("</svg>\n");
    Some(svg)
}

/// Counts by column and row.
fn cells(columns: &[Column<'_>], end: f64, y: &Scale) -> Vec<Vec<u64>> {
    let count = columns.len().clamp(1, COLUMNS_MAX);
    let mut cells = vec![vec![0; ROWS]; count];
    for column in columns {
        let middle = column.from + column.seconds / 2.0;
        let at = ((middle / end * count as f64) as usize).min(count - 1);
        for (value, number) in column.latency.buckets() {
            let share = (y.at(value.as_secs_f64()) - y.begin) / (y.end - y.begin);
            cells[at][((share * ROWS as f64) as usize).min(ROWS - 1)] += number;
        }
    }
    cells
}

/// Counts span orders of magnitude, and the single slow request must show beside a thousand quick ones.
fn shade_of(count: u64, most: f64) -> Option<usize> {
    let share = (count as f64 + 1.0).ln() / (most + 1.0).ln();
    (count > 0).then(|| ((share * SHADES.len() as f64).ceil() as usize).clamp(1, SHADES.len()) - 1)
}

fn axes(svg: &mut String, x: &Scale, y: &Scale) {
    svg.push_str("<g class=\"axes\" aria-hidden=\"true\">");
    for tick in y.ticks(6) {
        let at = y.at(tick);
        let _ = write!(svg, "<path class=\"grid\" d=\"M{:.1} {at:.1}h-4\"/>", x.begin);
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            x.begin - 8.0,
            at + 4.0,
            latency(tick)
        );
    }
    for tick in x.ticks(8) {
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x.at(tick),
            y.begin + 18.0,
            time(tick)
        );
    }
    let _ = write!(svg, "<path class=\"base\" d=\"M{:.1} {:.1}H{:.1}\"/>", x.begin, y.begin, x.end);
    let middle = f64::midpoint(x.begin, x.end);
    let _ = write!(
        svg,
        "<text class=\"axis\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">time since the start (darker: more requests)</text>",
        y.begin + 38.0
    );
    let _ = write!(
        svg,
        "<text class=\"axis\" transform=\"translate(13 {:.1}) rotate(-90)\" text-anchor=\"middle\">latency of all answers</text></g>",
        f64::midpoint(y.begin, y.end)
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_single_slow_request_shows_beside_a_thousand_quick_ones() {
        let (mut quick, mut slow) = (Histogram::default(), Histogram::default());
        for _ in 0..1_000 {
            quick.record(Duration::from_millis(1));
        }
        slow.record(Duration::from_secs(1));
        let columns = [(0.0, &quick), (1.0, &slow)].map(|(from, latency)| Column { from, seconds: 1.0, latency });
        let svg = svg("heat", &columns, scale(columns.iter()), 800.0, 300.0).unwrap();
        let filled = svg.split("<path class=\"heat\"").skip(1).filter(|path| !path.contains("d=\"\"")).count();
        assert_eq!(filled, 2, "one faint and one full shade: {svg}");
        assert!(super::svg("heat", &[], scale([].iter()), 800.0, 300.0).is_none());
    }
}
