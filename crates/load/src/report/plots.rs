//! Which plots a report has, and what is in them.

use super::plot::heat::{self, Column};
use super::plot::scale::Scale;
use super::plot::{Axis, Dot, Look, Mark, Plot, Series};
use super::{Line, Point, Report, format};
use crate::histogram::Histogram;
use crate::record::Totals;
use crate::slo::Measured;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 340.0;
/// Of a figure that takes the room of two beside each other, at the same size of letters.
const WIDE: f64 = 1_490.0;
const QUANTILES: [(f64, &str, &str); 4] = [(0.5, "p50", "p50"), (0.9, "p90", "p90"), (0.99, "p99", "p99"), (0.999, "p99.9", "p999")];
/// A quantile needs so many values beyond it to be worth a dot.
const BEYOND_MIN: f64 = 2.0;
/// The tones of a report's lines.
const TONES: [&str; 2] = ["bare", "edge"];

/// A plot with its heading.
pub(super) struct Figure {
    pub(super) heading: String,
    pub(super) svg: String,
    /// It takes the room of two.
    pub(super) is_wide: bool,
}

/// In pairs, so that nothing stands beside a hole: the first is wide where their number is odd, and a single heat map is.
pub(super) fn all(report: &Report) -> Vec<Figure> {
    let plots = [goodput(report), latency(report), over_time(report), percentiles(report)];
    let mut plots: Vec<Plot> = plots.into_iter().flatten().collect();
    if plots.len() % 2 == 1 {
        plots[0].width = WIDE;
    }
    let figure = |plot: Plot| Figure { svg: plot.svg(), is_wide: plot.width > WIDTH, heading: plot.title };
    plots.into_iter().map(figure).chain(heat_maps(report)).collect()
}

/// Good answers per second at each rate, with a thin line for a server without limit.
pub(super) fn goodput(report: &Report) -> Option<Plot> {
    let lines: Vec<(&Line, Vec<Point>)> = report.lines.iter().map(|line| (line, line.by_rate())).collect();
    if lines.iter().all(|(_, points)| points.len() < 2) {
        return None;
    }
    let goodputs = || lines.iter().flat_map(|(_, points)| points.iter().map(|point| point.figures.goodput()));
    let x = rates(&lines);
    let peak = goodputs().fold(0.0, f64::max);
    // Between few measurements straight lines on this paper would seem to exceed it.
    let mut series = if lines.len() == 1 { vec![ideal(&x, peak)] } else { Vec::new() };
    for ((line, points), tone) in lines.iter().zip(TONES) {
        let dot = |point: &Point| Dot { x: point.figures.offered, y: point.figures.goodput(), hint: hint(point) };
        let (name, tone) = if lines.len() > 1 { (line.name.clone(), tone) } else { ("good".to_owned(), "good") };
        let look = if tone == "bare" { Look::Measured } else { Look::Filled };
        series.push(Series { name, tone, look, points: points.iter().map(dot).collect() });
    }
    Some(Plot {
        id: "goodput",
        title: "Goodput against offered load".to_owned(),
        description: described(&lines, |point| format!("{} good", format::rate(point.figures.goodput()))),
        width: WIDTH,
        height: HEIGHT,
        y: Axis { label: "good answers per second".to_owned(), scale: Scale::linear(goodputs()), show: format::rate, ticks: None },
        x,
        series,
        marks: marks(report),
    })
}

/// What a server without limit would do, as far as there is room for it.
fn ideal(x: &Axis, peak: f64) -> Series {
    let (from, to) = (x.scale.from, x.scale.to.min(peak * 1.05).max(x.scale.from));
    let steps = 40;
    let at = |step: i32| from * (to / from).powf(f64::from(step) / f64::from(steps));
    let points = (0..=steps).map(at).map(|rate| Dot { x: rate, y: rate, hint: String::new() }).collect();
    Series { name: "offered".to_owned(), tone: "faint", look: Look::Ideal, points }
}

/// Percentiles at each rate; with two lines the 99th of both.
fn latency(report: &Report) -> Option<Plot> {
    let lines: Vec<(&Line, Vec<Point>)> = report.lines.iter().map(|line| (line, line.by_rate())).collect();
    if lines.iter().all(|(_, points)| points.len() < 2) {
        return None;
    }
    let is_pair = lines.len() > 1;
    let mut series = Vec::new();
    for ((line, points), line_tone) in lines.iter().zip(TONES) {
        for (quantile, name, tone) in QUANTILES.into_iter().filter(|(quantile, ..)| !is_pair || (*quantile - 0.99).abs() < 1e-9) {
            let dots: Vec<Dot> = points.iter().filter_map(|point| latency_dot(point, quantile)).collect();
            let (name, tone) = if is_pair { (format!("p99 {}", line.name), line_tone) } else { (name.to_owned(), tone) };
            series.extend((!dots.is_empty()).then_some(Series { name, tone, look: Look::Measured, points: dots }));
        }
    }
    let values = series.iter().flat_map(|series: &Series| series.points.iter().map(|dot| dot.y)).collect::<Vec<_>>();
    (!values.is_empty()).then(|| Plot {
        id: "latency",
        title: "Latency against offered load".to_owned(),
        description: described(&lines, |point| format!("p99 {}", format::latency_or_dash(point.figures.latency(0.99)))),
        width: WIDTH,
        height: HEIGHT,
        x: rates(&lines),
        y: Axis { label: "latency of good answers".to_owned(), scale: Scale::log(values.into_iter()), show: format::latency, ticks: None },
        series,
        marks: marks(report),
    })
}

fn latency_dot(point: &Point, quantile: f64) -> Option<Dot> {
    let beyond = point.figures.totals.good_latency.count() as f64 * (1.0 - quantile);
    let latency = point.figures.latency(quantile).filter(|_| beyond >= BEYOND_MIN)?;
    Some(Dot { x: point.figures.offered, y: latency, hint: hint(point) })
}

/// Requests due and good answers, second by second, of a single run.
fn over_time(report: &Report) -> Option<Plot> {
    let [line] = &report.lines[..] else { return None };
    let [recording] = &line.recordings[..] else { return None };
    // The last second is seldom a whole one.
    let whole = recording.lasted.as_secs() as usize;
    let seconds = recording.seconds.get(..whole.min(recording.seconds.len())).filter(|seconds| seconds.len() >= 3)?;
    let curve = |name: &str, tone, count: fn(&Totals) -> u64| {
        let dot = |(second, totals): (usize, &Totals)| Dot { x: second as f64 + 0.5, y: count(totals) as f64, hint: String::new() };
        Series { name: name.to_owned(), tone, look: Look::Curve, points: seconds.iter().enumerate().map(dot).collect() }
    };
    let series = vec![curve("due", "faint", |totals| totals.due), curve("good", "good", |totals| totals.good)];
    let values = series.iter().flat_map(|series| series.points.iter().map(|dot| dot.y)).collect::<Vec<_>>();
    let time = Scale { to: seconds.len() as f64, ..Scale::linear(std::iter::empty()) };
    Some(Plot {
        id: "time",
        title: "Requests over time".to_owned(),
        description: "Requests that were due, and those of them that got a good answer, in each second.".to_owned(),
        width: WIDTH,
        height: HEIGHT,
        x: Axis { label: "time since the start".to_owned(), scale: time, show: format::time, ticks: None },
        y: Axis { label: "requests per second".to_owned(), scale: Scale::linear(values.into_iter()), show: format::rate, ticks: None },
        series,
        marks: Vec::new(),
    })
}

/// The whole curve from the median to the slowest: each nine takes the same room.
fn percentiles(report: &Report) -> Option<Plot> {
    let rate = report.limit_rate();
    let mut series = Vec::new();
    for (line, tone) in report.lines.iter().zip(TONES) {
        let latency = match rate {
            Some(rate) => nearest(line, rate)?,
            None => line.recordings.iter().fold(Histogram::default(), |mut sum, recording| {
                sum.merge(&recording.total.good_latency);
                sum
            }),
        };
        let points = curve(&latency);
        let (name, tone) = if report.lines.len() > 1 { (line.name.clone(), tone) } else { ("latency".to_owned(), "good") };
        series.extend((points.len() > 1).then_some(Series { name, tone, look: Look::Curve, points }));
    }
    let dots = || series.iter().flat_map(|series| &series.points);
    let last = dots().map(|dot| dot.x).reduce(f64::max)?;
    let nines = |share: f64| 1.0 / (1.0 - share);
    let ticks: Vec<f64> = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999].map(nines).into_iter().filter(|tick| *tick <= last * 1.01).collect();
    let y = Scale::log(dots().map(|dot| dot.y));
    let x = Scale { from: 2.0, to: last.max(2.1), ..Scale::log(std::iter::empty()) };
    Some(Plot {
        id: "percentiles",
        title: rate.map_or_else(
            || "Latency by percentile".to_owned(),
            |rate| format!("Latency by percentile at the limit of {}/s", format::rate(rate)),
        ),
        description: "Latency of good answers from the median to the slowest.".to_owned(),
        width: WIDTH,
        height: HEIGHT,
        x: Axis { label: "percentile".to_owned(), scale: x, show: percentile, ticks: Some(ticks) },
        y: Axis { label: "latency of good answers".to_owned(), scale: y, show: format::latency, ticks: None },
        series,
        marks: Vec::new(),
    })
}

/// What was answered at the rate nearest to this one.
fn nearest(line: &Line, rate: f64) -> Option<Histogram> {
    let distance = |point: &Point| (point.figures.offered / rate).ln().abs();
    let points = line.by_rate();
    let nearest = points.into_iter().min_by(|one, other| distance(one).total_cmp(&distance(other)))?;
    Some(nearest.figures.totals.good_latency)
}

fn curve(latency: &Histogram) -> Vec<Dot> {
    // One part of the values must lie beyond, or the percentile says nothing.
    let last = (latency.count() as f64).min(1e6);
    let steps = (0..=120).map(|step| 2.0 * 10_f64.powf(f64::from(step) / 20.0)).take_while(|nines| *nines <= last);
    let dot = |nines: f64| Some(Dot { x: nines, y: latency.quantile(1.0 - 1.0 / nines)?.as_secs_f64().max(1e-6), hint: String::new() });
    steps.filter_map(dot).collect()
}

fn percentile(nines: f64) -> String {
    let percent = 100.0 * (1.0 - 1.0 / nines);
    format!("p{}", (percent * 1e4).round() / 1e4)
}

/// One for each line, all with the same axis of latency.
fn heat_maps(report: &Report) -> Vec<Figure> {
    let several = report.lines.len() > 1;
    let latencies =
        |line: &Line| -> Vec<Histogram> { line.recordings.iter().flat_map(|recording| &recording.seconds).map(Totals::latency).collect() };
    let latencies: Vec<Vec<Histogram>> = report.lines.iter().map(latencies).collect();
    let column = |(second, latency)| Column { from: second as f64, seconds: 1.0, latency };
    let maps: Vec<Vec<Column<'_>>> = latencies.iter().map(|seconds| seconds.iter().enumerate().map(column).collect()).collect();
    let scale = heat::scale(maps.iter().flatten());
    let figure = |((line, columns), id): ((&Line, Vec<Column<'_>>), &str)| {
        let (heading, width) =
            if several { (format!("Latency over time, {}", line.name), WIDTH) } else { ("Latency over time".to_owned(), WIDE) };
        Some(Figure { heading, svg: heat::svg(id, &columns, scale, width, HEIGHT)?, is_wide: !several })
    };
    report.lines.iter().zip(maps).zip(["heat", "heat-edge"]).filter_map(figure).collect()
}

fn rates(lines: &[(&Line, Vec<Point>)]) -> Axis {
    let offered = lines.iter().flat_map(|(_, points)| points.iter().map(|point| point.figures.offered));
    Axis { label: "offered requests per second".to_owned(), scale: Scale::log(offered), show: format::rate, ticks: None }
}

fn marks(report: &Report) -> Vec<Mark> {
    let Some(limit) = &report.limit else { return Vec::new() };
    let mut marks = Vec::new();
    if let Some(rate) = limit.rate() {
        marks.push(Mark { x: rate, label: format!("limit {}/s", format::rate(rate)), tone: "limit" });
    }
    // The knee is the bare server's.
    if let Some(knee) = limit.knee.filter(|_| report.lines.len() == 1) {
        marks.push(Mark { x: knee.rate, label: format!("knee {}/s", format::rate(knee.rate)), tone: "knee" });
    }
    marks
}

fn hint(point: &Point) -> String {
    let figures = &point.figures;
    format!(
        "{} offered: {} good per second, {} errors, p50 {}, p99 {}",
        point.label,
        format::rate(figures.goodput()),
        format::share(figures.error_share()),
        format::latency_or_dash(figures.latency(0.5)),
        format::latency_or_dash(figures.latency(0.99)),
    )
}

fn described(lines: &[(&Line, Vec<Point>)], what: impl Fn(&Point) -> String) -> String {
    let line = |(line, points): &(&Line, Vec<Point>)| {
        let points: Vec<_> = points.iter().map(|point| format!("{} at {}", what(point), point.label)).collect();
        format!("{}: {}.", line.name, points.join(", "))
    };
    lines.iter().map(line).collect::<Vec<_>>().join(" ")
}
