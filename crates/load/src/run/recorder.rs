//! What one thread notes of its requests, and how the threads' notes become one recording.

use std::time::Duration;

use tokio::time::Instant;

use crate::histogram::Histogram;
use crate::record::{EXAMPLES_MAX, ErrorKind, Example, Totals};
use crate::send::{Answered, Failure};

/// Three digits.
const STATUSES: usize = 1000;

/// A request that is due, or under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) due: Instant,
    pub(super) stage: usize,
    pub(super) request: usize,
    /// Among the thread's own.
    pub(super) user: Option<usize>,
    pub(super) n: u64,
    /// Every connection was busy.
    pub(super) was_queued: bool,
}

/// How a request ended.
pub(super) struct Ended {
    pub(super) sent: Option<Instant>,
    pub(super) at: Instant,
    pub(super) resent: bool,
    pub(super) result: Result<Answered, Failure>,
}

#[derive(Debug)]
pub(super) struct Recorder {
    starts: Instant,
    timeout: Duration,
    pub(super) seconds: Vec<Totals>,
    pub(super) stages: Vec<StageTally>,
    pub(super) requests: Vec<Totals>,
    /// Answers by their status.
    pub(super) statuses: Vec<u64>,
    pub(super) examples: Vec<Example>,
    /// How many examples there are of each kind.
    told: [usize; ErrorKind::ALL.len()],
    counts: Counts,
    recent: Histogram,
}

#[derive(Clone, Debug, Default)]
pub(super) struct StageTally {
    pub(super) totals: Totals,
    pub(super) lateness: Histogram,
}

/// Running sums, for a live view.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) due: u64,
    pub(super) sent: u64,
    pub(super) good: u64,
    pub(super) failed: u64,
}

impl Recorder {
    pub(super) fn new(starts: Instant, timeout: Duration, stages: usize, requests: usize) -> Self {
        Self {
            starts,
            timeout,
            seconds: Vec::new(),
            stages: vec![StageTally::default(); stages],
            requests: vec![Totals::default(); requests],
            statuses: vec![0; STATUSES],
            examples: Vec::new(),
            told: [0; ErrorKind::ALL.len()],
            counts: Counts::default(),
            recent: Histogram::default(),
        }
    }

    pub(super) fn due(&mut self, job: &Job) {
        self.counts.due += 1;
        self.each(job, |totals, _| totals.due += 1);
    }

    /// How much later than due the generator itself let a request go.
    pub(super) fn late(&mut self, job: &Job, now: Instant) {
        self.stages[job.stage].lateness.record(now.saturating_duration_since(job.due));
    }

    pub(super) fn ended(&mut self, job: &Job, ended: &Ended) {
        let latency = ended.at.saturating_duration_since(job.due);
        let service = ended.sent.map(|sent| ended.at.saturating_duration_since(sent));
        // Nobody was there any more for an answer that came a moment before it was cut off.
        let outcome = match &ended.result {
            Ok(_) if latency > self.timeout => Outcome::Failed(ErrorKind::Timeout),
            Ok(answered) => Outcome::Answered(*answered),
            Err(failure) => Outcome::Failed(failure.kind),
        };
        if let (Outcome::Failed(kind), Err(failure)) = (outcome, &ended.result) {
            self.tell(kind, failure);
        }
        let is_good = matches!(outcome, Outcome::Answered(answered) if (200..400).contains(&answered.status));
        if let Outcome::Answered(answered) = outcome
            && let Some(count) = self.statuses.get_mut(usize::from(answered.status))
        {
            *count += 1;
        }
        self.counts.sent += u64::from(ended.sent.is_some());
        *(if is_good { &mut self.counts.good } else { &mut self.counts.failed }) += 1;
        let patience = self.timeout;
        let noted = match outcome {
            Outcome::Answered(_) => Some(latency),
            Outcome::Failed(ErrorKind::Timeout) => Some(patience),
            Outcome::Failed(_) => None,
        };
        if let Some(latency) = noted {
            self.recent.record(latency);
        }
        self.each(job, |totals, with_service| {
            totals.sent += u64::from(ended.sent.is_some());
            totals.resent += u64::from(ended.resent);
            match outcome {
                Outcome::Answered(Answered { status, body_bytes, is_fallback }) => {
                    totals.body_bytes += body_bytes;
                    totals.good += u64::from(is_good);
                    totals.fallbacks += u64::from(is_fallback);
                    let class = usize::from(status / 100);
                    totals.answered_by_class[if class < totals.answered_by_class.len() { class } else { 0 }] += 1;
                    if let Some(service) = service.filter(|_| with_service) {
                        totals.service.record(service);
                    }
                }
                Outcome::Failed(kind) => totals.errors[kind] += 1,
            }
            if let Some(latency) = noted {
                let histogram = if is_good { &mut totals.good_latency } else { &mut totals.poor_latency };
                histogram.record(latency);
            }
        });
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// The latencies noted since the last call.
    pub(super) fn take_recent(&mut self) -> Histogram {
        std::mem::take(&mut self.recent)
    }

    /// Every group that a request belongs to, and whether that keeps service times.
    fn each(&mut self, job: &Job, mut note: impl FnMut(&mut Totals, bool)) {
        let second = job.due.saturating_duration_since(self.starts).as_secs() as usize;
        if second >= self.seconds.len() {
            self.seconds.resize_with(second + 1, Totals::default);
        }
        note(&mut self.seconds[second], false);
        note(&mut self.stages[job.stage].totals, true);
        note(&mut self.requests[job.request], true);
    }

    fn tell(&mut self, kind: ErrorKind, failure: &Failure) {
        let told = &mut self.told[kind as usize];
        if *told >= EXAMPLES_MAX {
            return;
        }
        let example = Example { kind, message: failure.to_string() };
        if !self.examples.contains(&example) {
            *told += 1;
            self.examples.push(example);
        }
    }
}

#[derive(Clone, Copy)]
enum Outcome {
    Answered(Answered),
    Failed(ErrorKind),
}
