//! Reports of made-up runs: what people and programs read of them.

use super::samples::{recording, totals};
use super::{Line, ReadError, Report, page, picture, summary};
use crate::record::{ErrorKind, Recording, RequestRecord, StatusRecord, Totals};
use crate::search::Found;
use crate::search::bottleneck::Bottleneck;
use crate::search::knee::Point;
use crate::search::limit::{Beyond, Limit};
use crate::statistics::Range;

fn plain() -> Report {
    let mut recording = recording(&[(100.0, 1.0, 12.0), (200.0, 1.0, 14.0), (400.0, 0.9, 80.0)]);
    recording.requests.push(RequestRecord { name: "POST /items\n".to_owned(), totals: totals(10.0, 5.0, 1.0, 30.0) });
    Report::new("plimsoll 0.1.0", Some("p99<100ms,errors<1%".parse().unwrap()), vec![Line::new("direct", vec![recording])])
}

fn steps(steps: &[(f64, f64, f64)]) -> Vec<Recording> {
    steps.iter().map(|step| recording(&[*step])).collect()
}

const LIMIT: f64 = 250.0;

fn limit() -> Limit {
    let beyond = |multiple: f64, goodput, p99| Beyond { multiple, rate: LIMIT * multiple, goodput, p99 };
    Limit {
        found: Found::Limit { rate: LIMIT, range: Range { low: 240.0, high: 257.0 } },
        knee: Some(Point { rate: 160.0, goodput: 160.0, latency: Some(0.06) }),
        beyond: vec![beyond(1.5, 75.0, Some(0.98)), beyond(2.0, 12.0, Some(0.99)), beyond(3.0, 0.4, Some(0.994)), beyond(10.0, 0.0, None)],
        bottleneck: Bottleneck::Queueing { throughput: 251.0, times: 21.0 },
        calm_latency: 0.031,
        unrecovered: 1,
        steps: 21,
        is_edge: false,
        proposal: "[gateway.timeouts]\n# <why>\ntotal = \"1s\"\n".to_owned(),
    }
}

fn found() -> Report {
    let bare = [(20.0, 1.0, 31.0), (40.0, 1.0, 32.0), (80.0, 1.0, 36.0), (160.0, 1.0, 52.0), (250.0, 1.0, 120.0), (375.0, 0.2, 400.0)];
    let beyond = [(500.0, 0.024, 500.0), (750.0, 0.01, 600.0), (2_500.0, 0.0, 1.0)];
    let recordings = steps(&[&bare[..], &beyond].concat());
    Report { limit: Some(limit()), ..Report::new("plimsoll 0.1.0", Some(crate::Slo::default()), vec![Line::new("direct", recordings)]) }
}

fn pair() -> Report {
    let bare = steps(&[
        (125.0, 1.0, 40.0),
        (250.0, 1.0, 120.0),
        (375.0, 0.2, 400.0),
        (500.0, 0.024, 500.0),
        (750.0, 0.004, 600.0),
        (2_500.0, 0.0, 1.0),
    ]);
    let edge = [
        (125.0, 1.0, 41.0),
        (250.0, 0.99, 110.0),
        (375.0, 0.66, 130.0),
        (500.0, 0.5, 131.0),
        (750.0, 0.33, 133.0),
        (2_500.0, 0.098, 140.0),
    ];
    let lines = vec![Line::new("alone", bare), Line::new("with plimsoll", steps(&edge))];
    Report { limit: Some(limit()), ..Report::new("plimsoll 0.1.0", Some(crate::Slo::default()), lines) }
}

#[test]
fn people_read_a_summary() {
    insta::assert_snapshot!("summary_of_a_run", summary::text(&plain()));
    insta::assert_snapshot!("summary_of_a_search", summary::text(&found()));
    insta::assert_snapshot!("summary_with_and_without", summary::text(&pair()));
}

#[test]
fn a_document_is_read_as_it_was_written() {
    for report in [plain(), found(), pair()] {
        let read = Report::from_json(&report.to_json()).unwrap();
        assert_eq!(read.to_json(), report.to_json());
        assert_eq!(summary::text(&read), summary::text(&report));
    }
    assert!(matches!(Report::from_json("{}"), Err(ReadError::Malformed(_))));
    assert!(matches!(Report::from_json(r#"{"format":99,"new":true}"#), Err(ReadError::Format(99))));
    let empty = Report::new("x", None, vec![Line::new("direct", Vec::new())]);
    assert!(matches!(Report::from_json(&empty.to_json()), Err(ReadError::Empty)));
}

#[test]
fn a_missed_promise_is_missed_by_the_stage_that_missed_it() {
    let report = plain();
    assert!(!report.is_slo_met());
    let verdicts = report.verdicts().unwrap();
    assert_eq!(verdicts.iter().map(|judged| judged.verdict.is_met()).collect::<Vec<_>>(), [true, true, false]);
    assert!(found().verdicts().is_none(), "in a search the promise is the question");
}

#[test]
fn with_an_edge_in_front_the_edge_is_held_to_the_promise_up_to_the_limit_of_the_server() {
    let promised = |slo: &str| Report { slo: Some(slo.parse().unwrap()), limit: Some(limit()), ..pair() };
    let kept = promised("errors<2%");
    let verdicts = kept.verdicts().unwrap();
    let judged: Vec<_> = verdicts.iter().map(|judged| (judged.line.as_deref().unwrap(), judged.point.label.as_str())).collect();
    assert_eq!(judged, [("alone", "125/s"), ("alone", "250/s"), ("with plimsoll", "125/s"), ("with plimsoll", "250/s")]);
    assert!(kept.is_slo_met() && !promised("errors<0.5%").is_slo_met());
    // Nobody knows of a limit, so every rate was asked for.
    assert!(!Report { limit: None, ..promised("errors<2%") }.is_slo_met());
    let text = summary::text(&kept);
    assert!(
        text.contains("slo         alone at 125/s: errors<2% (0%) met\n") && text.contains("with plimsoll at 250/s: errors<2% (1.04%) met"),
        "{text}"
    );
}

#[test]
fn pages_and_pictures_hold_their_plots_and_nothing_from_outside() {
    for (report, plots) in [
        (plain(), &["goodput", "latency", "time", "percentiles", "heat"][..]),
        (found(), &["goodput", "latency", "percentiles", "heat"]),
        (pair(), &["goodput", "latency", "percentiles", "heat", "heat-edge"]),
    ] {
        let html = page::html(&report);
        for plot in plots {
            assert_eq!(html.matches(&format!("<svg class=\"plot\" id=\"{plot}\"")).count(), 1, "{plot}");
        }
        let pictures = [html, picture::svg(&report).unwrap()];
        for text in pictures {
            assert!(!text.contains("<script") && !text.contains("alert(1)</") && !text.contains("<b>") && !text.contains('\u{1b}'));
            assert!(!text.contains("NaN") && !text.contains("\"inf") && !text.contains("src=") && !text.contains("url("));
        }
    }
}

#[test]
fn the_knee_and_the_limit_are_marked() {
    let html = page::html(&found());
    assert!(html.contains("limit 250/s") && html.contains("class=\"mark knee\""));
}

#[test]
fn when_nothing_worked_the_reason_comes_first() {
    let failing = |status: u16, kind: Option<ErrorKind>| {
        let mut recording = recording(&[(50.0, 0.0, 1.0)]);
        let due = recording.total.due;
        recording.total = Totals { due, ..Totals::default() };
        recording.statuses = Vec::new();
        if let Some(kind) = kind {
            recording.total.errors[kind] = due;
        } else {
            recording.total.answered_by_class[4] = due;
            recording.statuses.push(StatusRecord { status, count: due, ..StatusRecord::default() });
        }
        summary::text(&Report::new("x", None, vec![Line::new("direct", vec![recording])]))
    };
    for (status, kind, told) in [
        (404, None, "Every request failed: all 250 were answered with 404 Not Found. Is the path right?"),
        (401, None, "Every request failed: all 250 were answered with 401 Unauthorized. Does it need to know who asks"),
        (0, Some(ErrorKind::Refused), "Every request failed: all 250 ended as connection refused. Has the server stopped?"),
        (
            0,
            Some(ErrorKind::Timeout),
            "Every request failed: all 250 ended as timed out. Is the rate too high, or does the server need longer",
        ),
    ] {
        let text = failing(status, kind);
        let at = text.find(told).unwrap_or_else(|| panic!("{told} in {text}"));
        assert!(at < text.find("requests ").unwrap(), "before any table: {text}");
    }
    assert!(!summary::text(&plain()).contains("Every request failed"));
}

#[test]
fn answers_that_only_lead_elsewhere_are_called_what_they_are() {
    let report = |statuses: &[u16]| {
        let mut recording = recording(&[(100.0, 1.0, 5.0)]);
        recording.statuses = statuses.iter().map(|status| StatusRecord { status: *status, count: 1, ..StatusRecord::default() }).collect();
        summary::text(&Report::new("plimsoll", None, vec![Line::new("direct", vec![recording])]))
    };
    assert!(report(&[308]).contains("note: Every good answer is a redirect") && report(&[302, 503]).contains("is a redirect"));
    assert!(!report(&[200, 308]).contains("is a redirect") && !report(&[503]).contains("is a redirect"));
}

#[test]
fn answers_by_a_fallback_are_told_apart() {
    let mut report = plain();
    report.lines[0].recordings[0].total.fallbacks = 12;
    assert!(summary::text(&report).contains("3,400  answered, of which 12 by a fallback"), "{}", summary::text(&report));
    assert!(page::html(&report).contains("<td>12</td>"));
}

#[test]
fn each_half_has_its_own_failures() {
    let mut report = pair();
    report.lines[1].recordings.iter_mut().for_each(|recording| recording.statuses.clear());
    let text = summary::text(&report);
    let (alone, with) = text.split_at(text.find("\nwith plimsoll\n").unwrap());
    assert!(alone.contains("503 Service Unavailable") && !with.contains("503 Service Unavailable"), "{text}");
}

#[test]
fn a_report_of_an_older_version_is_read() {
    let mut old: serde_json::Value = serde_json::from_str(&plain().to_json()).unwrap();
    let recording = &mut old["lines"][0]["recordings"][0];
    recording.as_object_mut().unwrap().remove("statuses").unwrap();
    recording["total"].as_object_mut().unwrap().remove("fallbacks").unwrap();
    let read = Report::from_json(&old.to_string()).unwrap();
    assert!(summary::text(&read).contains("3,400  answers\n"), "{}", summary::text(&read));
}

#[test]
fn a_run_of_one_stage_without_a_single_answer_is_still_a_report() {
    let mut recording = recording(&[(50.0, 0.0, 1.0)]);
    recording.total.poor_latency = crate::Histogram::default();
    let report = Report::new("x", None, vec![Line::new("direct", vec![recording])]);
    assert!(summary::text(&report).contains("100.0 %"));
    assert!(page::html(&report).contains("errors"));
    assert!(picture::svg(&report).is_none(), "one rate is no plot");
}
