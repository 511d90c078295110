//! What seems to be in the way of more. Seen from outside this can only be a guess, and is always called one.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::figures::Figures;
use crate::record::{ErrorKind, RequestRecord};
use crate::slo::Measured;

/// A kind of failure is the explanation when this share of all failures is of it.
const MOST: f64 = 0.5;
/// One request in so many must fail before failures explain anything.
const FAILING: f64 = 0.01;
/// A route is the slow one when its median is so many times that of the others.
const SLOWER: f64 = 4.0;
/// More load that brings less than this much more goodput brings none.
const FLAT: f64 = 1.15;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Bottleneck {
    /// Connections are turned down before anybody reads a request.
    Refusals {
        share: f64,
    },
    /// The server answers, but with failures.
    Errors {
        share: f64,
        class: usize,
    },
    /// One kind of request is much slower than the rest.
    SlowRequest {
        name: String,
        times: f64,
    },
    /// Work waits for a place: latency grows while throughput does not.
    Queueing {
        throughput: f64,
        times: f64,
    },
    /// The machine did not let the generator send more.
    Generator,
    Unknown,
}

/// What a guess is made from.
pub struct Evidence<'a> {
    /// At the lowest rate that was measured.
    pub calm: &'a Figures,
    /// At the limit.
    pub at: &'a Figures,
    /// At the next rate that was measured beyond it.
    pub beyond: &'a Figures,
    /// At that rate or below it latency grew without end: what came in was not done in the same time.
    pub is_growing: bool,
    /// The requests of that step, by name.
    pub requests: &'a [RequestRecord],
    pub generator_saturated: bool,
}

pub fn guess(evidence: &Evidence<'_>) -> Bottleneck {
    if evidence.generator_saturated {
        return Bottleneck::Generator;
    }
    let totals = &evidence.beyond.totals;
    let failed = totals.ended().saturating_sub(totals.good).max(1) as f64;
    if evidence.beyond.error_share() >= FAILING {
        let refused = totals.errors[ErrorKind::Refused] + totals.errors[ErrorKind::Connect];
        if refused as f64 / failed >= MOST {
            return Bottleneck::Refusals { share: refused as f64 / totals.ended().max(1) as f64 };
        }
        let class = if totals.answered_by_class[5] >= totals.answered_by_class[4] { 5 } else { 4 };
        let poor = totals.answered_by_class[class];
        if poor as f64 / failed >= MOST {
            return Bottleneck::Errors { share: poor as f64 / totals.ended().max(1) as f64, class };
        }
    }
    slow_request(evidence.requests).or_else(|| queueing(evidence)).unwrap_or(Bottleneck::Unknown)
}

fn slow_request(requests: &[RequestRecord]) -> Option<Bottleneck> {
    let median = |request: &RequestRecord| request.totals.latency().quantile(0.5).map(|median| median.as_secs_f64());
    let mut medians: Vec<(f64, &str)> = requests.iter().filter_map(|request| Some((median(request)?, request.name.as_str()))).collect();
    medians.sort_by(|one, other| other.0.total_cmp(&one.0));
    let [(slowest, name), (next, _), ..] = medians[..] else { return None };
    let times = slowest / next.max(1e-6);
    (times >= SLOWER).then(|| Bottleneck::SlowRequest { name: name.to_owned(), times })
}

fn queueing(Evidence { calm, at, beyond, is_growing, .. }: &Evidence<'_>) -> Option<Bottleneck> {
    // Seen over a short step, goodput seems to follow: the backlog is answered after it, in time for some.
    let is_flat = *is_growing || beyond.goodput() < at.goodput() * FLAT;
    let times = beyond.quantile(0.5)?.as_secs_f64() / calm.quantile(0.5)?.as_secs_f64().max(1e-6);
    (is_flat && times >= 2.0).then(|| Bottleneck::Queueing { throughput: at.goodput(), times })
}

impl Display for Bottleneck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::report::format::{printable, rate, share};
        match self {
            Self::Refusals { share: of_all } => {
                write!(formatter, "connections are refused ({}): its backlog or its cap on connections is full", share(*of_all))
            }
            Self::Errors { share: of_all, class } => {
                write!(formatter, "it answers {class}xx ({}): something behind it gives up before its queue grows", share(*of_all))
            }
            Self::SlowRequest { name, times } => {
                write!(formatter, "`{}` is {times:.0} times slower than the next and takes the time of the others", printable(name))
            }
            Self::Queueing { throughput, times } => {
                let throughput = rate(*throughput);
                write!(formatter, "queueing: throughput stays near {throughput}/s while latency is {times:.0} times its calm value; ")?;
                formatter.write_str("workers, CPU or a connection pool are used up")
            }
            Self::Generator => {
                formatter.write_str("this machine: the load generator could not keep its schedule, the server may take more")
            }
            Self::Unknown => formatter.write_str("nothing stands out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::Totals;

    fn figures(good: u64, ms: u64) -> Figures {
        let mut totals = Totals { due: 1_000, good, ..Totals::default() };
        totals.answered_by_class[2] = good;
        for _ in 0..good {
            totals.good_latency.record(Duration::from_millis(ms));
        }
        Figures { totals, lasted: Duration::from_secs(1), offered: 1_000.0 }
    }

    fn guessed(beyond: &Figures, requests: &[RequestRecord]) -> Bottleneck {
        guess(&Evidence { calm: &figures(100, 10), at: &figures(500, 20), beyond, is_growing: false, requests, generator_saturated: false })
    }

    #[test]
    fn flat_throughput_with_growing_latency_is_queueing() {
        let Bottleneck::Queueing { times, .. } = guessed(&figures(510, 300), &[]) else { panic!() };
        assert!((times / 30.0 - 1.0).abs() < 0.02, "{times}");
        assert_eq!(guessed(&figures(990, 12), &[]), Bottleneck::Unknown);
    }

    #[test]
    fn what_most_failures_are_explains_them() {
        let mut refused = figures(500, 20);
        refused.totals.errors[ErrorKind::Refused] = 400;
        refused.totals.errors[ErrorKind::Timeout] = 100;
        assert_eq!(guessed(&refused, &[]), Bottleneck::Refusals { share: 0.4 });
        let mut failing = figures(500, 20);
        failing.totals.answered_by_class[5] = 500;
        assert_eq!(guessed(&failing, &[]), Bottleneck::Errors { share: 0.5, class: 5 });
    }

    #[test]
    fn a_slow_request_is_named() {
        let request = |name: &str, ms| RequestRecord { name: name.to_owned(), totals: figures(100, ms).totals };
        let requests = [request("GET /", 10), request("GET /feed", 400), request("GET /item", 12)];
        let Bottleneck::SlowRequest { name, .. } = guessed(&figures(510, 300), &requests) else { panic!() };
        assert_eq!(name, "GET /feed");
    }
}
