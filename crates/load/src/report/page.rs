//! One self-contained page: no network, no script, light and dark, for a screen, a phone or paper.

use std::fmt::Write;

use super::format::{self, escaped};
use super::outcome::Outcome;
use super::plot::STYLE;
use super::{Judged, Point, Report, plots, summary};
use crate::record::Totals;
use crate::search::Found;
use crate::search::limit::Limit;
use crate::slo::Measured;

pub(super) const COLOURS: &str = include_str!("colours.css");
const PAGE_STYLE: &str = include_str!("page.css");
const MARK: &str = "<svg class=\"brand\" viewBox=\"0 0 32 32\" width=\"30\" height=\"30\" aria-hidden=\"true\"><g fill=\"none\" stroke=\"currentColor\" stroke-width=\"3.2\" stroke-linecap=\"round\"><circle cx=\"16\" cy=\"16\" r=\"9.4\"/><path d=\"M2.5 16h27\"/></g></svg>";

/// The report as an HTML document.
pub fn html(report: &Report) -> String {
    let target = escaped(report.target());
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Load report: {target}</title>\n<style>\n{COLOURS}{STYLE}{PAGE_STYLE}</style>\n</head>\n<body>\n"
    );
    head(&mut html, report);
    html.push_str("<main>\n");
    for failure in summary::failures(report) {
        put(&mut html, format_args!("<p class=\"notice bad\"><strong>{}</strong></p>\n", escaped(&failure)));
    }
    if let Some(limit) = &report.limit {
        limit_tiles(&mut html, limit);
    } else {
        tiles(&mut html, report);
    }
    verdict(&mut html, report);
    html.push_str("<div class=\"plots\">\n");
    for figure in plots::all(report) {
        put(
            &mut html,
            format_args!(
                "<figure class=\"panel{}\"><figcaption><h2>{}</h2></figcaption>{}</figure>\n",
                if figure.is_wide { " wide" } else { "" },
                escaped(&figure.heading),
                figure.svg
            ),
        );
    }
    html.push_str("</div>\n");
    if let Some(limit) = &report.limit {
        findings(&mut html, limit);
    }
    stages(&mut html, report);
    requests(&mut html, report);
    outcomes(&mut html, report);
    html.push_str("</main>\n");
    put(
        &mut html,
        format_args!(
            "<footer>{}. Latency counts from the moment a request was due, so a stalled server shows in every request that it kept waiting.</footer>\n",
            escaped(&report.made_by)
        ),
    );
    html.push_str("</body>\n</html>\n");
    html
}

fn head(html: &mut String, report: &Report) {
    put(html, format_args!("<header class=\"top\">{MARK}<h1>Load report</h1><p class=\"target\">{}</p>", escaped(report.target())));
    let facts = summary::facts(report);
    put(html, format_args!("<p class=\"facts\">{}</p></header>\n", escaped(&facts)));
}

fn tile(html: &mut String, name: &str, value: &str, note: &str) {
    let (name, value, note) = (escaped(name), escaped(value), escaped(note));
    put(
        html,
        format_args!("<div class=\"tile\"><dt>{name}</dt><dd><strong>{value}</strong><span class=\"note\">{note}</span></dd></div>\n"),
    );
}

/// The answer to "how was it" from across the room.
fn tiles(html: &mut String, report: &Report) {
    let Some(recording) = report.recordings().next().filter(|_| report.lines.len() == 1) else { return };
    let figures = crate::figures::Figures::of(recording);
    html.push_str("<dl class=\"tiles\">\n");
    let failed = figures.totals.ended() - figures.totals.good.min(figures.totals.ended());
    tile(html, "requests", &format::count(figures.totals.due), &format!("in {}", format::time(figures.lasted.as_secs_f64())));
    tile(html, "goodput", &format!("{}/s", format::rate(figures.goodput())), &format!("of {}/s offered", format::rate(figures.rate())));
    tile(html, "errors", &format::share(figures.error_share()), &format!("{} requests", format::count(failed)));
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let range = figures.latency_range(quantile);
        let note = range.map_or_else(String::new, |range| format!("{} to {}", format::latency(range.low), format::latency(range.high)));
        tile(html, name, &format::latency_or_dash(figures.latency(quantile)), &note);
    }
    let max = figures.totals.good_latency.max().map(|max| max.as_secs_f64());
    tile(html, "slowest", &format::latency_or_dash(max), "of good answers");
    html.push_str("</dl>\n");
}

fn limit_tiles(html: &mut String, limit: &Limit) {
    html.push_str("<dl class=\"tiles\">\n");
    let (value, note) = match limit.found {
        Found::Limit { rate, range } => {
            (format!("{}/s", format::rate(rate)), format!("between {} and {}", format::rate(range.low), format::rate(range.high)))
        }
        Found::AtLeast { rate } => (format!("≥ {}/s", format::rate(rate)), "as far as was measured".to_owned()),
        Found::Nothing { rate } => (format!("< {}/s", format::rate(rate)), "even that missed the promise".to_owned()),
        Found::Unstable { range } => ("unstable".to_owned(), format!("{} to {}", format::rate(range.low), format::rate(range.high))),
    };
    tile(html, "limit", &value, &note);
    if let Some(knee) = limit.knee {
        tile(html, "knee", &format!("{}/s", format::rate(knee.rate)), "best goodput for its latency");
    }
    tile(html, "calm latency", &format::latency(limit.calm_latency), "one request at a time");
    for beyond in limit.beyond.iter().filter(|beyond| [2.0, 3.0, 10.0].contains(&beyond.multiple)) {
        let p99 = beyond.p99.map_or_else(|| "nothing was good".to_owned(), |p99| format!("p99 {}", format::latency(p99)));
        tile(html, &format!("goodput at {}×", beyond.multiple), &format!("{}/s", format::rate(beyond.goodput)), &p99);
    }
    html.push_str("</dl>\n");
}

fn verdict(html: &mut String, report: &Report) {
    if !report.is_trustworthy() {
        put(html, format_args!("<p class=\"notice warn\">{}</p>\n", escaped(summary::SATURATED)));
    }
    let Some(verdicts) = report.verdicts() else { return };
    let missed: Vec<_> = verdicts.iter().filter(|judged| judged.decides && !judged.verdict.is_met()).collect();
    let slo = report.slo.as_ref().map(ToString::to_string).unwrap_or_default();
    if missed.is_empty() {
        put(html, format_args!("<p class=\"notice good\"><strong>Promise kept:</strong> {}</p>\n", escaped(&slo)));
        return;
    }
    put(html, format_args!("<p class=\"notice bad\"><strong>Promise missed:</strong> {}", escaped(&slo)));
    for Judged { point, verdict, .. } in missed {
        let findings = verdict.findings.iter().filter(|finding| !finding.is_met).map(ToString::to_string).collect::<Vec<_>>().join(", ");
        put(html, format_args!("<br>at {}: {}", escaped(&point.label), escaped(&findings)));
    }
    html.push_str("</p>\n");
}

fn findings(html: &mut String, limit: &Limit) {
    put(
        html,
        format_args!(
            "<section class=\"panel\"><h2>What seems to be in the way</h2><p>A guess, from outside: {}.</p></section>\n",
            escaped(&limit.bottleneck.to_string())
        ),
    );
    put(
        html,
        format_args!(
            "<section class=\"panel\"><h2>A proposed plimsoll.toml</h2><pre tabindex=\"0\">{}</pre></section>\n",
            escaped(&limit.proposal)
        ),
    );
}

fn stages(html: &mut String, report: &Report) {
    for line in &report.lines {
        let heading = if report.lines.len() > 1 { format!("Measurements, {}", line.name) } else { "Measurements".to_owned() };
        table_head(html, &heading, &["load", "requests", "goodput", "errors", "p50", "p90", "p99", "p99.9", "slowest"]);
        for Point { label, figures } in line.points() {
            row(html, &label, &figures.totals, Some(figures.goodput()));
        }
        html.push_str("</tbody></table></div></section>\n");
    }
}

fn requests(html: &mut String, report: &Report) {
    let Some(recording) = report.recordings().next().filter(|recording| recording.requests.len() > 1 && report.limit.is_none()) else {
        return;
    };
    table_head(html, "By request", &["request", "requests", "errors", "p50", "p90", "p99", "p99.9", "slowest"]);
    for request in &recording.requests {
        row(html, &request.name, &request.totals, None);
    }
    html.push_str("</tbody></table></div></section>\n");
}

fn outcomes(html: &mut String, report: &Report) {
    for line in &report.lines {
        let outcome = Outcome::of(line);
        let heading = if report.lines.len() > 1 { format!("How requests ended, {}", line.name) } else { "How requests ended".to_owned() };
        table_head(html, &heading, &["outcome", "requests", "share", "in its own words"]);
        let share = |count: u64| format::share(count as f64 / outcome.totals.due.max(1) as f64);
        for ending in outcome.endings() {
            let class = if ending.is_poor { " class=\"bad\"" } else { "" };
            let details = ending.details.iter().map(|detail| escaped(detail)).collect::<Vec<_>>().join("<br>");
            put(
                html,
                format_args!(
                    "<tr><th scope=\"row\">{}</th><td{class}>{}</td><td>{}</td><td class=\"text\">{details}</td></tr>\n",
                    escaped(&ending.name),
                    format::count(ending.count),
                    share(ending.count)
                ),
            );
        }
        let fallbacks = outcome.totals.fallbacks;
        if fallbacks > 0 {
            let (count, share) = (format::count(fallbacks), share(fallbacks));
            put(
                html,
                format_args!(
                    "<tr><th scope=\"row\">of the answers</th><td>{count}</td><td>{share}</td><td class=\"text\">by a fallback of the edge</td></tr>\n"
                ),
            );
        }
        html.push_str("</tbody></table></div></section>\n");
    }
}

fn table_head(html: &mut String, heading: &str, columns: &[&str]) {
    put(
        html,
        format_args!("<section class=\"panel\"><h2>{}</h2><div class=\"scroll\" tabindex=\"0\"><table><thead><tr>", escaped(heading)),
    );
    for column in columns {
        put(html, format_args!("<th scope=\"col\">{column}</th>"));
    }
    html.push_str("</tr></thead><tbody>\n");
}

fn row(html: &mut String, label: &str, totals: &Totals, goodput: Option<f64>) {
    put(html, format_args!("<tr><th scope=\"row\">{}</th><td>{}</td>", escaped(label), format::count(totals.due)));
    if let Some(goodput) = goodput {
        put(html, format_args!("<td>{}/s</td>", format::rate(goodput)));
    }
    let failed = totals.failed_share();
    let class = if failed.is_some_and(|share| share > 0.0) { " class=\"bad\"" } else { "" };
    put(html, format_args!("<td{class}>{}</td>", failed.map_or_else(|| "–".to_owned(), format::share)));
    for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
        let latency = if quantile < 1.0 { totals.good_latency.quantile(quantile) } else { totals.good_latency.max() };
        put(html, format_args!("<td>{}</td>", format::latency_or_dash(latency.map(|latency| latency.as_secs_f64()))));
    }
    html.push_str("</tr>\n");
}

fn put(html: &mut String, arguments: std::fmt::Arguments<'_>) {
    html.write_fmt(arguments).expect("a string takes it");
}
