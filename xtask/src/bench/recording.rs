//! What `plimsoll load --json` writes down, as far as it matters here: one recording, as in `crates/load/src/record.rs`.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

const VERSION: u32 = 1;
/// How finely the histogram's buckets cut each power of two of microseconds.
const PARTS_LOG2: u32 = 7;
const PARTS: u64 = 1 << PARTS_LOG2;

/// What is written: one line per way to the server, one recording per load.
#[derive(Deserialize)]
struct Report {
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    recordings: Vec<Recording>,
}

/// A whole run.
#[derive(Deserialize)]
pub(super) struct Recording {
    version: u32,
    pub stages: Vec<Stage>,
    pub generator: Generator,
    lasted: f64,
    /// Of each kind of error a few.
    pub examples: Vec<Example>,
}

#[derive(Deserialize)]
pub(super) struct Example {
    pub message: String,
}

/// One stage of the load; a closed load has one.
#[derive(Deserialize)]
pub(super) struct Stage {
    /// Seconds.
    pub lasted: f64,
    pub totals: Totals,
}

/// Requests by outcome, all counted under the moment at which they were due.
#[derive(Clone, Default, Deserialize)]
pub(super) struct Totals {
    pub due: u64,
    /// Whole 2xx and 3xx within the client's patience.
    pub good: u64,
    /// By the first digit of the status.
    answered_by_class: [u64; 6],
    good_latency: Histogram,
    /// Of all other answers; a time-out counts with the client's whole patience.
    poor_latency: Histogram,
}

#[derive(Deserialize)]
pub(super) struct Generator {
    /// Seconds of processor time.
    pub cpu: f64,
    /// The machine did not let it keep its schedule.
    pub saturated: bool,
}

#[derive(Clone, Default, Deserialize)]
struct Histogram {
    /// Bucket and count, smallest first.
    buckets: Vec<(u64, u64)>,
}

impl Recording {
    pub(super) fn read(json: &str) -> Result<Self> {
        let report: Report = serde_json::from_str(json).context("cannot read what `plimsoll load` wrote")?;
        let mut recordings = report.lines.into_iter().flat_map(|line| line.recordings);
        let (Some(recording), None) = (recordings.next(), recordings.next()) else {
            bail!("`plimsoll load` did not write exactly one recording");
        };
        ensure!(recording.version == VERSION, "`plimsoll load` writes version {}, this reads {VERSION}", recording.version);
        Ok(recording)
    }

    /// The share of one core that the generator took.
    pub(super) fn generator_share(&self) -> f64 {
        self.generator.cpu / self.lasted
    }

    /// All stages from this one on as one.
    pub(super) fn since_stage(&self, first: usize) -> Stage {
        let stages = &self.stages[first.min(self.stages.len())..];
        let mut totals = Totals::default();
        for stage in stages {
            totals.add(&stage.totals);
        }
        Stage { lasted: stages.iter().map(|stage| stage.lasted).sum(), totals }
    }
}

impl Stage {
    /// Good answers per second.
    pub(super) fn goodput(&self) -> f64 {
        self.totals.good as f64 / self.lasted
    }

    pub(super) fn offered(&self) -> f64 {
        self.totals.due as f64 / self.lasted
    }
}

impl Totals {
    /// Answers that were none of the good ones: refusals, mostly.
    pub(super) fn refused(&self) -> u64 {
        self.answered_by_class.iter().sum::<u64>().saturating_sub(self.good)
    }

    /// Requests without any answer within the client's patience.
    pub(super) fn unanswered(&self) -> u64 {
        self.due.saturating_sub(self.good + self.refused())
    }

    /// The share of requests that were answered well.
    pub(super) fn success(&self) -> f64 {
        if self.due == 0 { 0.0 } else { self.good as f64 / self.due as f64 }
    }

    /// Milliseconds within which this share of the good answers came.
    pub(super) fn good_ms(&self, quantile: f64) -> Option<f64> {
        self.good_latency.quantile_ms(quantile, self.good)
    }

    /// The same of the refusals: whatever timed out lies above all of them.
    pub(super) fn refused_ms(&self, quantile: f64) -> Option<f64> {
        self.poor_latency.quantile_ms(quantile, self.refused())
    }

    fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.good += other.good;
        for (sum, more) in self.answered_by_class.iter_mut().zip(other.answered_by_class) {
            *sum += more;
        }
        self.good_latency.add(&other.good_latency);
        self.poor_latency.add(&other.poor_latency);
    }
}

impl Histogram {
    /// Of the smallest `count` values.
    fn quantile_ms(&self, quantile: f64, count: u64) -> Option<f64> {
        let rank = ((quantile * count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let within = self.buckets.iter().find(|(_, more)| {
            seen += more;
            seen >= rank
        });
        within.filter(|_| count > 0).map(|(bucket, _)| middle_us(*bucket) as f64 / 1e3)
    }

    fn add(&mut self, other: &Self) {
        self.buckets.extend(&other.buckets);
        self.buckets.sort_unstable();
    }
}

/// The microseconds in the middle of a bucket.
fn middle_us(bucket: u64) -> u64 {
    if bucket < PARTS {
        return bucket;
    }
    let octave = bucket / PARTS - 1;
    ((bucket % PARTS + PARTS) << octave) + ((1 << octave) - 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two stages of a second: ten good answers in 100 µs; then one in about 10 ms, two refusals in 50 µs, one time-out.
    const WRITTEN: &str = r#"{"format":1,"lines":[{"recordings":[{"version":1,"lasted":2.0,"generator":{"cpu":0.5,"saturated":false},"examples":[{"kind":"timeout","message":"too late"}],"stages":[
        {"lasted":1.0,"totals":{"due":10,"good":10,"answered_by_class":[0,0,10,0,0,0],
            "good_latency":{"buckets":[[100,10]]},"poor_latency":{"buckets":[]}}},
        {"lasted":1.0,"totals":{"due":4,"good":1,"answered_by_class":[0,0,1,0,0,2],
            "good_latency":{"buckets":[[924,1]]},"poor_latency":{"buckets":[[50,2],[1773,1]]}}}]}]}]}"#;

    #[test]
    fn stages_alone_and_together() {
        let recording = Recording::read(WRITTEN).unwrap();
        let (whole, last) = (recording.since_stage(0), recording.since_stage(1));
        assert_eq!((whole.goodput(), whole.offered(), last.goodput()), (5.5, 7.0, 1.0));
        assert_eq!((last.totals.refused(), last.totals.unanswered()), (2, 1));
        assert_eq!((whole.totals.good_ms(0.5), whole.totals.refused_ms(0.99)), (Some(0.1), Some(0.05)));
        let slowest = whole.totals.good_ms(1.0).unwrap();
        assert!((9.9..10.1).contains(&slowest), "{slowest}");
        assert_eq!(recording.stages[0].totals.refused_ms(0.5), None);
        assert_eq!(recording.examples[0].message, "too late");
        assert!((recording.generator_share() - 0.25).abs() < 1e-9);
    }

    #[test]
    fn another_version_is_not_guessed_at() {
        assert!(Recording::read(&WRITTEN.replace("\"version\":1", "\"version\":2")).is_err());
    }
}
