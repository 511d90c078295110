//! The picture for a README: goodput against offered load, alone in a file, readable in light and in dark.

use super::format::{self, escaped};
use super::page::COLOURS;
use super::plot::STYLE;
use super::{Line, Report, plots};
use crate::slo::Measured;

const WIDTH: f64 = 880.0;
const PLOT_HEIGHT: f64 = 372.0;
const HEAD_HEIGHT: f64 = 78.0;

/// The picture as an SVG document; none without at least two rates.
pub fn svg(report: &Report) -> Option<String> {
    let mut plot = plots::goodput(report)?;
    (plot.width, plot.height) = (WIDTH - 24.0, PLOT_HEIGHT);
    let height = PLOT_HEIGHT + HEAD_HEIGHT;
    let (title, sub) = (escaped(&title(report)), escaped(&subtitle(report)));
    Some(format!(
        "<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"title text\">\n\
         <title id=\"title\">{title}</title><desc id=\"text\">{}</desc>\n<style>{COLOURS}{STYLE}</style>\n\
         <rect class=\"paper\" x=\"0.5\" y=\"0.5\" width=\"{:.1}\" height=\"{:.1}\" rx=\"10\"/>\n\
         <g class=\"brand\" transform=\"translate({:.0} 18) scale(0.9)\"><circle cx=\"16\" cy=\"16\" r=\"9.4\"/><path d=\"M2.5 16h27\"/></g>\n\
         <text class=\"heading\" x=\"24\" y=\"36\">{title}</text><text class=\"sub\" x=\"24\" y=\"58\">{sub}</text>\n\
         <g transform=\"translate(10 {HEAD_HEIGHT})\">\n{}</g>\n</svg>\n",
        escaped(&plot.description),
        WIDTH - 1.0,
        height - 1.0,
        WIDTH - 54.0,
        plot.body_within(),
    ))
}

/// The finding, not the name of the plot.
fn title(report: &Report) -> String {
    match &report.lines[..] {
        [bare, edge] => {
            let last = |line: &Line| line.by_rate().last().map_or((0.0, 0.0), |point| (point.figures.offered, point.figures.goodput()));
            let (offered, goodput) = last(edge);
            let (goodput, alone) = (format::rate(goodput), format::rate(last(bare).1));
            let load = match report.limit_rate() {
                Some(rate) => format!("{:.0} times its limit", offered / rate),
                None => format!("{} requests/s", format::rate(offered)),
            };
            format!("At {load}: {goodput} good answers/s {}, {alone} {}", edge.name, bare.name)
        }
        _ => "Goodput under overload".to_owned(),
    }
}

fn subtitle(report: &Report) -> String {
    let timeout = report.recordings().next().map_or(0.0, |recording| recording.plan.timeout.as_secs_f64());
    let limit = report.limit_rate().map(|rate| format!(", limit {}/s", format::rate(rate)));
    format!("Good answers within {} against offered load, open loop{}", format::time(timeout), limit.unwrap_or_default())
}
