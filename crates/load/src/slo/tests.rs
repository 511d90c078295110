use std::time::Duration;

use super::{Measured, Slo};

/// A measurement in which every answer took `latency`.
struct Flat {
    latency: Option<Duration>,
    error_share: f64,
    goodput: f64,
}

impl Measured for Flat {
    fn quantile(&self, quantile: f64) -> Option<Duration> {
        self.latency.map(|latency| latency.mul_f64(quantile))
    }
    fn mean(&self) -> Option<Duration> {
        self.latency
    }
    fn max(&self) -> Option<Duration> {
        self.latency
    }
    fn error_share(&self) -> f64 {
        self.error_share
    }
    fn rate(&self) -> f64 {
        100.0
    }
    fn goodput(&self) -> f64 {
        self.goodput
    }
}

const CALM: Flat = Flat { latency: Some(Duration::from_millis(100)), error_share: 0.01, goodput: 99.0 };

#[track_caller]
fn check(slo: &str, is_met: bool) {
    let parsed: Slo = slo.parse().unwrap();
    assert_eq!(parsed.judge(&CALM).is_met(), is_met, "{slo}: {:?}", parsed.judge(&CALM));
}

#[test]
fn every_figure_is_held_to_its_bound() {
    for (met, missed) in [
        ("p99<100ms", "p99<99ms"),
        ("p50<51ms", "p50<50ms"),
        ("p99.9<=99.9ms", "p99.9<99.9ms"),
        ("mean<=100ms", "mean<100ms"),
        ("max<0.101s", "max<100000us"),
        ("errors<=1%", "errors<1%"),
        ("rate>=100", "rate>100/s"),
        ("goodput>98.9/s", "goodput>=99.1"),
    ] {
        check(met, true);
        check(missed, false);
    }
}

#[test]
fn one_missed_objective_misses_the_promise() {
    check("p99<200ms, errors<2%", true);
    check("p99<200ms, errors<0.5%", false);
    let verdict = "p99<200ms,errors<0.5%".parse::<Slo>().unwrap().judge(&CALM);
    assert_eq!(verdict.findings.iter().map(|finding| finding.is_met).collect::<Vec<_>>(), [true, false]);
    assert_eq!(verdict.findings[1].to_string(), "errors<0.5% (1%)");
}

#[test]
fn nothing_answered_is_nothing_kept() {
    let silent = Flat { latency: None, error_share: 0.0, goodput: 0.0 };
    let verdict = "p99<200ms".parse::<Slo>().unwrap().judge(&silent);
    assert!(!verdict.is_met());
    assert_eq!(verdict.findings[0].to_string(), "p99<200ms (nothing was answered)");
}

#[test]
fn a_promise_is_written_as_it_was_read() {
    for text in [Slo::DEFAULT, "p99.9<=1.5s,mean<900us,max<2s,errors<=0.1%,rate>=100,goodput>95.5"] {
        assert_eq!(text.parse::<Slo>().unwrap().to_string(), text);
    }
}

#[test]
fn a_wrong_promise_says_where_and_what_would_be_right() {
    for (text, error) in [
        ("", "an objective is missing at character 1: write FIGURE<BOUND, such as p99<200ms"),
        ("p99<1s,", "an objective is missing at character 8: write FIGURE<BOUND, such as p99<200ms"),
        ("p99<1s, p5<2s", "`p5` at character 9 is not a figure: use p50 to p99.99, mean, max, errors, rate or goodput"),
        ("p100<1s", "`p100` at character 1 is not a figure: use p50 to p99.99, mean, max, errors, rate or goodput"),
        ("latency<1s", "`latency` at character 1 is not a figure: use p50 to p99.99, mean, max, errors, rate or goodput"),
        ("p99=200ms", "`p99=200ms` at character 1 has no comparison: use <, <=, > or >=, such as p99<200ms"),
        ("p99<200", "`200` at character 5 is not a time: write 200ms, 1.5s or 900us"),
        ("p99<-1ms", "`-1ms` at character 5 is not a time: write 200ms, 1.5s or 900us"),
        ("p99<= 1e3s", "`1e3s` at character 7 is not a time: write 200ms, 1.5s or 900us"),
        ("errors<1", "`1` at character 8 is not a share: write 1% or 0.1%, from 0% to 100%"),
        ("errors<101%", "`101%` at character 8 is not a share: write 1% or 0.1%, from 0% to 100%"),
        ("goodput>=lots", "`lots` at character 10 is not a number per second: write 500 or 500/s"),
        ("p99>1s", "`p99` at character 1 can only be asked to stay below a bound: use < or <="),
        ("goodput<5", "`goodput` at character 1 can only be asked to stay above a bound: use > or >="),
    ] {
        assert_eq!(text.parse::<Slo>().unwrap_err().to_string(), error, "{text}");
    }
}
